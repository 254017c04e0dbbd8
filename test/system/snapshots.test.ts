import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type {
  CreateShedReply,
  Shed,
  Snapshot,
  SnapshotDetail,
  UsageExplained,
  UsageReport,
} from '../../src/contract/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import type { Cowshed } from '../support/cowshed.ts'
import { type CowshedOn, cowshedOn } from '../support/cowshed-on.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { fakeOfAnother } from '../support/fake-of-another.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const tools = ['qemu-system-x86_64', 'mkfs.btrfs', 'mount', 'mke2fs', 'e2fsck', ...busyboxImageTools, ...kernelTools]
const mib = 2 ** 20

/** Snapshots of real guests, where files share extents: each test goes on where the one before it ended. */
describe.runIf(needs({ root: true, tools }))('a snapshot', () => {
  let cowshed: Cowshed
  let place: CowshedOn

  beforeAll(async () => {
    place = await cowshedOn('btrfs', 600 * mib)
    cowshed = place.cowshed
  }, 600_000)
  afterAll(async () => await place[Symbol.asyncDispose]())

  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const info = async (name: string) => await cowshed.json<SnapshotDetail>('snapshot', 'info', name)

  test('of a running shed has what its guest has written, and the guest goes on', async () => {
    await cowshed.ok('create', 'web', '--image', 'mini:1', '--upper-size', '64MiB', '--net', 'none', '--env', 'A=b')
    await sh('web', fakeOfAnother)
    // Nobody has synced it.
    await sh('web', `head -c ${8 * mib} /dev/urandom > /root/data && sha256sum /root/data > /root/sum`)
    const taken = await cowshed.json<Snapshot>('snapshot', 'create', 'web', 'base', '--comment', 'with data')
    expect(taken).toMatchObject({ name: 'base', status: 'whole', comment: 'with data', shed: { name: 'web' } })
    expect(taken.pause_ms).toBeGreaterThan(0)
    await sh('web', 'echo later > /root/later && sync')
    await fsckExt4(cowshed.layout.snapshot('base').upper)
    const again = await cowshed.run('snapshot', 'create', 'web', 'base')
    expect([again.code, again.stderr]).toEqual([4, expect.stringContaining('there is a snapshot base already')])
  })

  test('is what another shed can be made from, which is nobody else', async () => {
    const { shed } = await cowshed.json<CreateShedReply>('create', 'copy', '--from-snapshot', 'base')
    expect(shed).toMatchObject({ snapshot: { name: 'base' }, env: { A: 'b' }, network: 'none', status: 'running' })
    expect(await sh('copy', 'sha256sum -c /root/sum; ls /root')).toBe('/root/data: OK\ndata\nsum\n')
    const who = 'hostname; cat /etc/machine-id /etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_rsa_key.pub'
    const [web, copy] = [(await sh('web', who)).split('\n'), (await sh('copy', who)).split('\n')]
    expect(web.slice(2, 4)).toEqual(['old', 'old public'])
    expect(copy[0]).toBe('copy')
    expect(copy[1]).toMatch(/^[0-9a-f]{32}$/)
    expect(copy[1]).not.toBe(web[1])
    expect(copy.slice(2, 4)).toEqual(['private rsa root@copy', 'public rsa root@copy'])
    // There is nothing that could make it: nobody has it any more.
    expect(await sh('copy', 'ls /etc/ssh /var/lib/systemd')).toBe(
      '/etc/ssh:\nssh_host_rsa_key\nssh_host_rsa_key.pub\n\n/var/lib/systemd:\n',
    )
    await cowshed.ok('stop', 'copy')
    await cowshed.ok('start', 'copy')
    expect(await sh('copy', 'cat /etc/ssh/ssh_host_rsa_key')).toBe('private rsa root@copy\n')
    const unchanged = await cowshed.json<CreateShedReply>('create', 'copy', '--from-snapshot', 'base')
    expect(unchanged.outcome).toBe('unchanged')
    expect(await info('base')).toMatchObject({ lower: 'here', sheds: ['copy'] })
  })

  test('costs what has changed since, and df says who shares the rest', async () => {
    await cowshed.ok('stop', 'web')
    await cowshed.ok('stop', 'copy')
    const { snapshots, totals } = await cowshed.json<UsageReport>('system', 'df')
    expect(snapshots).toMatchObject([{ name: 'base', shed: 'web', status: 'whole', disk: { kind: 'snapshot' } }])
    expect(snapshots[0]?.shared_bytes).toBeGreaterThan(8 * mib)
    expect(totals.snapshots).toMatchObject({ files: 2, exclusive_bytes: snapshots[0]?.exclusive_bytes })
    expect(snapshots[0]?.exclusive_bytes).toBeLessThan(4 * mib)
    const { shares } = await cowshed.json<UsageExplained>('system', 'df', '--explain', 'copy')
    const withSnapshot = shares.find(({ kind, name }) => kind === 'snapshot' && name === 'base')
    expect(withSnapshot?.bytes).toBeGreaterThan(8 * mib)
  })

  test('outlives its shed, keeps its image, and is not pruned', async () => {
    await cowshed.ok('snapshot', 'create', 'copy', 'second')
    expect(await info('second')).toMatchObject({ parent: 'base', shed: { name: 'copy' } })
    expect((await info('second')).pause_ms).toBeUndefined()
    await cowshed.ok('delete', 'web', 'copy', '--force')
    const refused = await cowshed.run('image', 'rm', 'mini:1')
    expect([refused.code, refused.stderr]).toEqual([
      4,
      expect.stringContaining('is used by snapshot base, snapshot second'),
    ])
    const pruned = await cowshed.ok('system', 'prune', '--force', '--until', '0s')
    expect(pruned).toContain('snapshots are never pruned (to remove it: cowshed snapshot rm base)')
    expect(await cowshed.ok('snapshot', 'ls', '-q')).toBe('base\nsecond\n')
    await cowshed.ok('create', 'web', '--from-snapshot', 'second')
    expect(await sh('web', 'sha256sum -c /root/sum')).toBe('/root/data: OK\n')
    expect((await cowshed.json<Shed>('inspect', 'web')).image.ref).toBe('mini:1')
  })

  test('has the volumes of a running shed as they were at the same moment', async () => {
    await cowshed.ok('volume', 'create', 'data', '--size', '64MiB')
    const settings = ['--image', 'mini:1', '--upper-size', '64MiB', '--net', 'none']
    await cowshed.ok('create', 'db', ...settings, '--volume', 'data:/data')
    // On the one what is on the other already: a cut of two moments would show.
    const write = 'while :; do echo x >> /data/n; echo x >> /root/n; done'
    await sh('db', `(${write}) > /dev/null 2>&1 &`)
    await cowshed.ok('snapshot', 'create', 'db', 'both')
    await cowshed.ok('create', 'db2', '--from-snapshot', 'both')
    const [own = 0, volume = 0] = (await sh('db2', 'wc -l < /root/n; wc -l < /data/n')).split('\n').map(Number)
    expect(volume).toBeGreaterThan(0)
    expect([own, own + 1]).toContain(volume)
    await fsckExt4(cowshed.layout.snapshotVolume('both', 'data'))
    expect(await cowshed.ok('snapshot', 'info', 'both')).toContain('/data (67.1 MB)')
    await cowshed.ok('delete', 'db', 'db2', '--force')
    await cowshed.ok('snapshot', 'rm', 'both', '--force')
    expect(await cowshed.ok('volume', 'ls', '-q')).toBe('data\ndb2-data\n')
  })

  test('is removed, and what was made from it stays', async () => {
    expect(await cowshed.ok('snapshot', 'rm', 'base', 'second', '--force')).toBe('base removed\nsecond removed\n')
    expect(await sh('web', 'sha256sum -c /root/sum')).toBe('/root/data: OK\n')
    expect((await cowshed.run('snapshot', 'info', 'base')).code).toBe(3)
    await cowshed.ok('delete', 'web', '--force')
    await cowshed.ok('image', 'rm', 'mini:1')
  })
})
