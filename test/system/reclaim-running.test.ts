import { statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DedupeReport, PruneReport, TrimReport } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { toolsFor } from '../support/filesystems.ts'
import { kernelTools } from '../support/kernel.ts'
import { type Mounted, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'

const MiB = 2 ** 20
const tools = ['qemu-system-x86_64', 'mke2fs', 'e2fsck', ...busyboxImageTools, ...kernelTools]

/** Space comes back from under a guest that is at work: each test goes on where the one before it ended. */
for (const type of ['btrfs', 'xfs', 'ext4'] as const) {
  describe.runIf(needs({ root: true, tools: [...tools, ...toolsFor(type)] }))(`a shed that runs, on ${type}`, () => {
    let mounted: Mounted
    let cowshed: Cowshed
    beforeAll(async () => {
      mounted = await mountFresh(type, 900 * MiB)
      const data = join(mounted.directory, 'd')
      await mkdir(data)
      cowshed = await openCowshed({ data })
      await writeFile(join(mounted.directory, 'mini.tar'), busyboxArchive('mini:1'))
      await cowshed.ok('image', 'load', join(mounted.directory, 'mini.tar'))
      await cowshed.ok('create', 'web', '--image', 'mini:1', '--upper-size', '256MiB')
    })
    afterAll(async () => {
      await cowshed[Symbol.asyncDispose]()
      await mounted[Symbol.asyncDispose]()
    })

    const disk = () => cowshed.layout.shed('web').upper
    const allocated = () => statSync(disk()).blocks * 512
    const sh = (script: string) => cowshed.ok('exec', 'web', '--', 'sh', '-c', script)
    const fill = 'dd if=/dev/urandom of=/big bs=1M count=24 2>/dev/null; sync; rm /big; sync'

    test('trim gives back what its guest has deleted', async () => {
      await sh(`echo kept > /kept; ${fill}`)
      expect(allocated()).toBeGreaterThan(24 * MiB)
      const dry = await cowshed.run('system', 'trim', 'web', '--dry-run')
      expect([dry.code, dry.stdout]).toEqual([1, expect.stringContaining('only the guest of web knows')])
      const report = await cowshed.json<TrimReport>('system', 'trim', 'web')
      expect(report.items[0]).toMatchObject({ name: 'web', by: 'guest' })
      expect(allocated()).toBeLessThan(12 * MiB)
      const [{ before, after }] = report.items as [TrimReport['items'][number]]
      expect(before.exclusive_bytes - (after?.exclusive_bytes ?? 0)).toBeGreaterThan(20 * MiB)
      expect(report.totals.reclaimed_bytes).toBeGreaterThan(20 * MiB)
    })

    if (type !== 'ext4') {
      test('dedupe leaves it out and says so, or shares what it has twice while it writes; its files stay as they are', async () => {
        await sh('seq 1 500000 > /one; cp /one /two; (while :; do date >> /busy; sync; sleep 0.1; done) >&- 2>&- &')
        // From the disk, not from what the guest remembers of it.
        const sums = () => sh('sync; echo 3 > /proc/sys/vm/drop_caches; sha256sum /one /two /kept /srv/kept')
        const before = await sums()
        const skipped = await cowshed.json<DedupeReport>('system', 'dedupe')
        expect(skipped.skipped).toEqual([
          { kind: 'shed', name: 'web', reason: expect.stringMatching(/^it is running/) },
        ])
        expect(skipped.items.map(({ name }) => name)).not.toContain('web')
        const done = await cowshed.json<DedupeReport>('system', 'dedupe', '--running')
        expect(done.items.find(({ name }) => name === 'web')?.shared_bytes).toBeGreaterThan(3 * MiB)
        // What the guest writes meanwhile is in what was reclaimed.
        expect(done.totals.predicted_bytes).toBeGreaterThan(2 * MiB)
        expect(await sums()).toBe(before)
        await sh('echo more >> /one; sync; cmp -s /one /two && exit 1; rm /one /two')
      })
    }

    // Where a file's first blocks cannot be taken out in one step its VMM is held still for a moment; on ext4 it is: sheds.test.ts.
    if (type !== 'btrfs') return

    test('its console is cut while it writes, and no line is lost', async () => {
      const { console } = cowshed.layout.shed('web')
      const text = async () => await readFile(console, 'latin1')
      await sh('seq 1 20000 | sed "s/^/line /" > /dev/console &')
      const isDone = async () => (await text()).includes('line 20000\r')
      await until(async () => (await text()).includes('line 2000\r'), 'it writes')
      const cut = await cowshed.json<PruneReport>('system', 'prune', '--logs', '--log-tail-bytes', '1000', '--force')
      expect(cut.items).toMatchObject([{ kind: 'log', name: 'web', action: 'truncate' }])
      // And again, for as long as there is something new.
      for (let cuts = 0; cuts < 4 && !(await isDone()); cuts++) {
        const { size } = statSync(console)
        await until(async () => statSync(console).size > size + 8192 || (await isDone()), 'it goes on')
        await cowshed.ok('system', 'prune', '--logs', '--log-tail-bytes', '1000', '--force')
      }
      await until(isDone, 'it has written all', 120_000)
      const end = await text()
      expect(end).not.toContain('\0')
      const numbers = [...end.matchAll(/^line (\d+)\r$/gm)].map(([, number]) => Number(number))
      expect(numbers.filter((number, at) => at > 0 && number !== (numbers[at - 1] ?? 0) + 1)).toEqual([])
    })

    test('when it stops what its guest had deleted comes back by itself, unless that is not wanted', async () => {
      await sh(fill)
      expect(allocated()).toBeGreaterThan(24 * MiB)
      await cowshed.ok('stop', 'web')
      expect(allocated()).toBeLessThan(12 * MiB)
      await fsckExt4(disk())

      await writeFile(cowshed.layout.config, '[sheds]\ntrim_on_stop = false\n')
      await cowshed.killDaemon()
      await cowshed.ok('start', 'web')
      expect(await sh(`cat /kept; ${fill}`)).toBe('kept\n')
      await cowshed.ok('stop', 'web')
      expect(allocated()).toBeGreaterThan(24 * MiB)
      expect(await cowshed.ok('system', 'trim')).toMatch(/web +host .*RECLAIMED: 2\d\.\d MB/s)
      expect(allocated()).toBeLessThan(12 * MiB)
    })
  })
}
