import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'smol-toml'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type {
  BackupSummary,
  ListBackupsReply,
  PruneBackupsReply,
  SnapshotDetail,
  VerifyBackupsReply,
} from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { needs } from '../support/needs.ts'
import { type S3Server, startS3Server } from '../support/s3-server.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('backups, as a user makes them', () => {
  let cowshed: Cowshed
  let server: S3Server
  let proxy: FaultProxy
  let directory: TemporaryDirectory
  beforeAll(async () => {
    server = await startS3Server()
    proxy = await startFaultProxy(server)
    directory = await temporaryDirectory()
    cowshed = await openCowshed({ kernel: false })
    const { accessKeyId, secretAccessKey } = server.credentials
    await mkdir(cowshed.layout.root, { recursive: true })
    const bucket = { endpoint: proxy.url, access_key_id: accessKeyId, secret_access_key: secretAccessKey }
    await writeFile(cowshed.layout.config, stringify({ s3: { [server.bucket]: bucket } }))
    await cowshed.ok('volume', 'create', 'data', '--size', '64MiB')
    await scribble()
  })
  afterAll(async () => {
    await cowshed[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  test.each([
    ['a directory', () => join(directory.path, 'repository')],
    ['an S3 bucket', () => `s3://${server.bucket}/cowshed`],
  ])('go to %s, come back, get old and go', async (_, place) => {
    const at = place()
    const first = await cowshed.json<BackupSummary>('volume', 'backup', 'data', '--to', at)
    expect(first).toMatchObject({ kind: 'volume', name: 'data', bytes: 64 * 2 ** 20 })
    const before = await disk('data')
    await scribble()
    const second = await cowshed.json<BackupSummary>('volume', 'backup', 'data', '--to', at)
    expect(second.added_bytes).toBeLessThan(1_000_000)
    const { backups } = await cowshed.json<ListBackupsReply>('backup', 'ls', '--at', at)
    expect(backups).toEqual([second, first])

    // The one by its id, the other as the newest.
    const [old, fresh] = at.startsWith('s3') ? ['old-s3', 'new-s3'] : ['old', 'new']
    await cowshed.ok('volume', 'restore', first.id, old, '--from', at)
    await cowshed.ok('volume', 'restore', 'data', fresh, '--from', at)
    expect((await disk(old)).equals(before)).toBe(true)
    expect((await disk(fresh)).equals(await disk('data'))).toBe(true)
    expect(await cowshed.run('volume', 'restore', 'data', fresh, '--from', at)).toMatchObject({ code: 4 })

    expect(await cowshed.run('backup', 'rm', first.id, '--at', at)).toMatchObject({ code: 2 })
    const plan = await cowshed.json<PruneBackupsReply>('backup', 'prune', '--at', at, '--keep-last', '1', '--dry-run')
    expect(plan.removed).toEqual([first])
    expect(await cowshed.json('backup', 'prune', '--at', at, '--keep-last', '1', '--force')).toEqual(plan)
    expect(await cowshed.json<VerifyBackupsReply>('backup', 'verify', '--at', at)).toMatchObject({
      intact: [second.id],
      damaged: [],
    })
    await cowshed.ok('backup', 'rm', second.id, '--at', at, '--force')
    expect((await cowshed.json<ListBackupsReply>('backup', 'ls', '--at', at)).backups).toEqual([])
    expect(await readdir(cowshed.layout.staging)).toEqual([])
  })

  test('are read on another host that has been given the key, and on no other', async () => {
    const at = join(directory.path, 'shared')
    await cowshed.ok('volume', 'backup', 'data', '--to', at)
    await using other = await openCowshed({ kernel: false })
    const without = await other.run('volume', 'restore', 'data', 'data', '--from', at)
    expect(without).toMatchObject({ code: 3 })
    expect(without.stderr).toMatch(/backup key import/)
    const { stdout: key } = await cowshed.run('backup', 'key', 'show')
    expect(await other.runWith({ input: key.replace(/.\n$/, 'x') }, 'backup', 'key', 'import')).toMatchObject({
      code: 2,
    })
    expect(await other.runWith({ input: key }, 'backup', 'key', 'import')).toMatchObject({ code: 0 })
    await other.ok('volume', 'restore', 'data', 'data', '--from', at)
    expect((await readFile(other.layout.volume('data').data)).equals(await disk('data'))).toBe(true)
    // No prune of orphans takes a key.
    expect((await other.run('system', 'prune', '--orphans', '--dry-run', '--json')).stdout).not.toContain('backup-keys')
  })

  test('of a snapshot lie beside those of volumes, and send what none of them has', async () => {
    const at = join(directory.path, 'both')
    const archive = join(directory.path, 'mini.tar')
    await writeFile(archive, busyboxArchive())
    await cowshed.ok('image', 'load', archive)
    await cowshed.ok('create', 'web', '--image', 'mini:1', '--upper-size', '64MiB', '--volume', 'data:/d', '--no-start')
    await cowshed.ok('snapshot', 'create', 'web', 'data')
    const ofVolume = await cowshed.json<BackupSummary>('volume', 'backup', 'data', '--to', at)
    const first = await cowshed.json<BackupSummary>('snapshot', 'backup', 'data', '--to', at)
    expect(first).toMatchObject({ kind: 'snapshot', name: 'data', bytes: 128 * 2 ** 20 })
    // The noise in the volume is there already; the disk of the shed has none.
    expect(ofVolume.added_bytes).toBeGreaterThan(100_000)
    expect(first.added_bytes).toBeLessThan(50_000)
    const second = await cowshed.json<BackupSummary>('snapshot', 'backup', 'data', '--to', at)
    expect(second.added_bytes).toBe(0)

    // Beside the one that it is of it is another; where that is gone, it is that one. One name is two things.
    const copy = await cowshed.json<SnapshotDetail>('snapshot', 'restore', first.id, 'copy', '--from', at)
    const original = await cowshed.json<SnapshotDetail>('snapshot', 'info', 'data')
    const disks = await snapshotDisks('data')
    expect(copy).toMatchObject({ shed: original.shed, volumes: original.volumes, lower: 'here' })
    expect(copy.id).not.toBe(original.id)
    expect(await snapshotDisks('copy')).toEqual(disks)
    await cowshed.ok('snapshot', 'rm', 'data', 'copy', '--force')
    const again = await cowshed.json<SnapshotDetail>('snapshot', 'restore', 'data', 'back', '--from', at)
    expect(again.id).toBe(original.id)
    expect(await snapshotDisks('back')).toEqual(disks)
    await cowshed.ok('create', 'two', '--from-snapshot', 'back', '--no-start')
    expect(await cowshed.run('snapshot', 'restore', 'data', 'back', '--from', at)).toMatchObject({ code: 4 })
    expect(await cowshed.run('snapshot', 'restore', ofVolume.id, 'no', '--from', at)).toMatchObject({ code: 3 })
    expect(await cowshed.run('volume', 'restore', first.id, 'no', '--from', at)).toMatchObject({ code: 3 })

    const plan = await cowshed.json<PruneBackupsReply>('backup', 'prune', '--at', at, '--keep-last', '1', '--force')
    expect(plan.removed).toEqual([first])
    const verified = await cowshed.json<VerifyBackupsReply>('backup', 'verify', '--at', at)
    expect([...verified.intact].sort()).toEqual([second.id, ofVolume.id].sort())
    expect(verified.damaged).toEqual([])
    expect(await readdir(cowshed.layout.staging)).toEqual([])
    await cowshed.ok('delete', 'web', 'two', '--force')
  })

  async function snapshotDisks(name: string): Promise<Buffer[]> {
    const { layout } = cowshed
    const disks = [layout.snapshot(name).upper, layout.snapshotVolume(name, 'data')].map((path) => readFile(path))
    return (await Promise.all(disks)).map((disk) => createHash('sha256').update(disk).digest())
  }

  test('are whole or not there when the daemon is killed while one is sent or fetched', async () => {
    const at = `s3://${server.bucket}/killed`
    await killWhen('PUT', ['volume', 'backup', 'data', '--to', at])
    expect((await cowshed.json<ListBackupsReply>('backup', 'ls', '--at', at)).backups).toEqual([])
    const { id } = await cowshed.json<BackupSummary>('volume', 'backup', 'data', '--to', at)
    await killWhen('GET', ['volume', 'restore', id, 'fetched', '--from', at])
    expect(await cowshed.run('volume', 'restore', 'fetched', 'nothing', '--from', at)).toMatchObject({ code: 3 })
    expect(await cowshed.ok('volume', 'ls')).not.toContain('fetched')
    expect(await readdir(cowshed.layout.staging)).toEqual([])
    await cowshed.ok('volume', 'restore', id, 'fetched', '--from', at)
    expect((await disk('fetched')).equals(await disk('data'))).toBe(true)
  })

  /** Kills the daemon while a pack is under way. */
  async function killWhen(method: 'GET' | 'PUT', command: readonly string[]): Promise<void> {
    proxy.clear()
    proxy.fault({ method, path: /\/packs\//, times: 1000 }, { kind: 'stall-reply' })
    const client = cowshed.start(...command)
    const ended = once(client, 'close')
    const isUnderWay = () =>
      proxy.requests.some((request) => request.method === method && request.path.includes('/packs/'))
    while (!isUnderWay()) await sleep(20)
    await cowshed.killDaemon()
    await ended
    proxy.clear()
  }

  async function disk(name: string): Promise<Buffer> {
    return await readFile(cowshed.layout.volume(name).data)
  }

  /** No filesystem has anything there yet; nobody mounts it. */
  async function scribble(): Promise<void> {
    await using file = await open(cowshed.layout.volume('data').data, 'r+')
    await file.write(randomBytes(100_000), 0, 100_000, 50 * 2 ** 20)
  }
})
