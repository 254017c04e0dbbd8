import { createHash, randomBytes } from 'node:crypto'
import { truncateSync } from 'node:fs'
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { backUp } from './back-up.ts'
import { type Host, hooked, localTarget, makeHost, quickLocks, restoreTo, writeChunks } from './backups.testkit.ts'
import { fileChunks, isZero } from './file-chunks.ts'
import { chunkBytes } from './format/chunk.ts'
import { pruneBackups, removeBackup } from './prune-backups.ts'
import { listBackups } from './repository/backups.ts'
import type { Repository } from './repository/open-repository.ts'
import { verifyBackups } from './verify-backups.ts'

const damaged = { code: 'BACKUP_DAMAGED' }

describe('a backup', () => {
  test('comes back byte for byte, sparse as it was, with what was said of it', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    // Two regions, a hole of 300 MiB, a tail, and a chunk that is there twice.
    const chunks = Array.from({ length: 1500 }, (_, at) => (at < 3 ? at % 2 : at > 1497 ? 7 : undefined))
    await writeChunks(host.path('disk'), chunks, 5000)
    await writeFile(host.path('small'), 'a few bytes')
    await writeFile(host.path('empty'), '')
    const files = ['disk', 'small', 'empty'].map((name) => ({ name, path: host.path(name) }))
    const record = { labels: { a: 'b' }, bytes: 5 }
    const { id, manifest } = await backUp({ repository, kind: 'volume', name: 'data', record, files })
    expect(manifest.files.map(({ data_bytes }) => data_bytes)).toEqual([5 * chunkBytes, 11, 0])
    const directory = await restoreTo(host, repository, id, 'restored')
    for (const { name, path } of files) {
      expect(await contentOf(join(directory, name)), name).toEqual(await contentOf(path))
    }
    expect((await stat(join(directory, 'disk'))).blocks).toBeLessThanOrEqual((await stat(host.path('disk'))).blocks)
    const { backups } = await listBackups(await host.repository())
    expect(backups).toEqual([{ id, manifest }])
    expect(backups[0]?.manifest.record).toEqual(record)
  })

  test('of blocks of zeros is as sparse as one of holes', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    const disk = Buffer.alloc(8 * chunkBytes)
    disk.writeUInt8(1, 3 * chunkBytes + 100_000)
    await writeFile(host.path('disk'), disk)
    const { id } = await make(host, repository)
    const restored = join(await restoreTo(host, repository, id, 'restored'), 'disk')
    expect((await readFile(restored)).equals(disk)).toBe(true)
    expect((await stat(restored)).blocks * 512).toBeLessThanOrEqual(64 * 1024)
  })

  test('sends what is new and nothing else, to one pack after another', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    const disk = randomBytes(70 * chunkBytes)
    await writeFile(host.path('disk'), disk)
    const first = await make(host, repository)
    expect(first.manifest.added_bytes).toBeGreaterThan(70 * chunkBytes)
    expect(await packs(host)).toHaveLength(2)
    expect((await make(host, repository)).manifest.added_bytes).toBe(0)
    randomBytes(100).copy(disk, 40 * chunkBytes)
    await writeFile(host.path('disk'), disk)
    const third = await make(host, await host.repository())
    expect(third.manifest.added_bytes).toBeGreaterThan(chunkBytes)
    expect(third.manifest.added_bytes).toBeLessThan(chunkBytes + 10_000)
    const directory = await restoreTo(host, repository, third.id, 'third')
    expect((await readFile(join(directory, 'disk'))).equals(disk)).toBe(true)
    expect(await verifyBackups({ repository })).toMatchObject({ damaged: [], chunks: 71 })
  })

  test('that was cut off is not shown, and the next one sends only what had not been sent', async () => {
    await using host = await makeHost()
    await writeFile(host.path('disk'), randomBytes(70 * chunkBytes))
    let puts = 0
    const cut = hooked(localTarget(host.path('repository')), (call, name) => {
      if (call === 'put' && name.startsWith('packs/') && ++puts === 2) throw new Error('the network is gone')
    })
    await expect(make(host, await host.repository(cut))).rejects.toThrow('the network is gone')
    const repository = await host.repository()
    expect(await listBackups(repository)).toEqual({ backups: [], broken: [] })
    const { id, manifest } = await make(host, repository)
    expect(manifest.added_bytes).toBeLessThan(10 * chunkBytes)
    expect(await verifyBackups({ repository })).toMatchObject({ intact: [id] })
  })

  test('stops on request and leaves no lock', async () => {
    await using host = await makeHost()
    await writeChunks(host.path('disk'), [1, 2, 3])
    const stop = new AbortController()
    const target = hooked(localTarget(host.path('repository')), (_, name) => {
      if (name.startsWith('packs/')) stop.abort()
    })
    const repository = await host.repository(target)
    await expect(make(host, repository, stop.signal)).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await readdir(host.path('repository/locks'))).toEqual([])
  })

  test('of a file that is written to meanwhile is none', async () => {
    await using host = await makeHost()
    await writeChunks(host.path('disk'), [1, 2, 3])
    const repository = await host.repository()
    const work = backUp({
      repository,
      kind: 'volume',
      name: 'data',
      record: {},
      files: [{ name: 'disk', path: host.path('disk') }],
      onProgress: () => truncateSync(host.path('disk'), 3 * chunkBytes + 1),
    })
    await expect(work).rejects.toMatchObject({ code: 'IO_FAILED' })
    expect((await listBackups(repository)).backups).toEqual([])
  })
})

describe('a damaged repository', () => {
  test('says which piece of which backup, restores the others, and heals with the next backup when the pack is not whole', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    await writeChunks(host.path('disk'), [1, 2, 3, undefined, 5])
    const { id } = await make(host, repository)
    const [pack] = await packs(host)
    const path = host.path(`repository/${pack}`)
    const bytes = await readFile(path)
    const changed = Buffer.from(bytes)
    changed[10] = (changed[10] ?? 0) ^ 1
    await writeFile(path, changed)
    const problem = await restoreTo(host, repository, id, 'restored').catch((error: unknown) => error)
    expect(problem).toMatchObject({ ...damaged, data: { backup: id, file: 'disk', bytes: chunkBytes } })
    const verified = await verifyBackups({ repository })
    expect(verified.intact).toEqual([])
    expect(verified.damaged).toHaveLength(1)
    expect(verified.damaged[0]?.data).toEqual((problem as { data: unknown }).data)
    // A pack that is not whole is as good as none: what was in it is sent again.
    await writeFile(path, bytes.subarray(0, bytes.length - 1))
    await expect(restoreTo(host, repository, id, 'again')).rejects.toMatchObject(damaged)
    await make(host, repository)
    expect((await verifyBackups({ repository })).intact).toHaveLength(2)
    await pruneBackups({ repository })
    expect(await packs(host)).toHaveLength(1)
    expect((await verifyBackups({ repository })).intact).toHaveLength(2)
  })

  test('shows a manifest that is damaged, and prunes nothing for as long as it is there', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    await writeChunks(host.path('disk'), [1])
    const good = await make(host, repository)
    await writeChunks(host.path('disk'), [2])
    const bad = await make(host, repository)
    await writeFile(host.path(`repository/backups/${bad.id}`), 'nothing')
    const { backups, broken } = await listBackups(repository)
    expect(backups.map(({ id }) => id)).toEqual([good.id])
    expect(broken).toMatchObject([{ id: bad.id, problem: damaged }])
    expect((await verifyBackups({ repository })).damaged).toMatchObject([damaged])
    const before = await packs(host)
    await expect(pruneBackups({ repository, keepLast: 1 })).rejects.toMatchObject(damaged)
    expect(await packs(host)).toEqual(before)
    await removeBackup(repository, bad.id)
    await pruneBackups({ repository, keepLast: 1 })
    expect(await packs(host)).toHaveLength(1)
    expect((await verifyBackups({ repository })).intact).toEqual([good.id])
  })

  test('prunes nothing when a map is gone', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    await writeChunks(host.path('disk'), [1])
    const { id } = await make(host, repository)
    for (const pack of await packs(host)) await rm(host.path(`repository/${pack}`))
    await expect(pruneBackups({ repository })).rejects.toMatchObject({ ...damaged, data: { backups: [id] } })
    await expect(restoreTo(host, repository, id, 'restored')).rejects.toMatchObject(damaged)
  })

  test('is known by its indexes or by its packs alone', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    await writeChunks(host.path('disk'), [1, 2])
    const { id } = await make(host, repository)
    await rm(host.path('repository/indexes'), { recursive: true })
    expect(await verifyBackups({ repository })).toMatchObject({ intact: [id], damaged: [] })
    expect((await make(host, repository)).manifest.added_bytes).toBe(0)
  })
})

describe('a prune', () => {
  test('waits for nobody: while a backup is made it is refused, and a backup while it prunes', async () => {
    await using host = await makeHost()
    await writeChunks(host.path('disk'), [1])
    const refused: unknown[] = []
    const plain = await host.repository()
    await make(host, plain)
    await writeChunks(host.path('disk'), [2])
    const backing = await host.repository(
      hooked(localTarget(host.path('repository')), async (call, name) => {
        if (call === 'put' && name.startsWith('packs/'))
          refused.push(await pruneBackups({ repository: plain }).catch((error: unknown) => error))
      }),
    )
    const { id } = await make(host, backing)
    await removeBackup(plain, id)
    const pruning = await host.repository(
      hooked(localTarget(host.path('repository')), async (call, name) => {
        if (call === 'remove' && name.startsWith('packs/'))
          refused.push(await make(host, plain).catch((error: unknown) => error))
      }),
    )
    await pruneBackups({ repository: pruning })
    const busy = { code: 'BACKUP_REPOSITORY_BUSY' }
    expect(refused).toMatchObject([busy, busy])
    expect(await readdir(host.path('repository/locks'))).toEqual([])
  })

  test('that takes a sleeping host for dead leaves no backup that lacks anything', async () => {
    await using host = await makeHost()
    await writeChunks(host.path('disk'), [1, 2])
    const plain = await host.repository()
    const { id } = await make(host, plain)
    let slept = false
    const sleeper = await host.repository(
      hooked(localTarget(host.path('repository')), async (call, name) => {
        if (slept || call !== 'put' || !name.startsWith('backups/')) return
        slept = true
        // Just before the manifest, which needs what the first backup needed, hours pass.
        await removeBackup(plain, id)
        await pruneBackups({ repository: { ...plain, lockTimes: { ...quickLocks, staleMs: -1 } } })
      }),
    )
    await expect(make(host, sleeper)).rejects.toMatchObject({ code: 'BACKUP_REPOSITORY_BUSY' })
    expect(slept).toBe(true)
    expect(await listBackups(plain)).toEqual({ backups: [], broken: [] })
    await make(host, plain)
    expect((await verifyBackups({ repository: plain })).damaged).toEqual([])
  })

  test('says beforehand what it would do', async () => {
    await using host = await makeHost()
    const repository = await host.repository()
    for (const fill of [1, 2, 3]) {
      await writeChunks(host.path('disk'), [fill])
      await make(host, repository)
    }
    const dry = await pruneBackups({ repository, keepLast: 1, dryRun: true })
    expect((await listBackups(repository)).backups).toHaveLength(3)
    expect(await packs(host)).toHaveLength(3)
    const before = await bytesOfPacks(host)
    expect(await pruneBackups({ repository, keepLast: 1 })).toEqual(dry)
    expect(before - (await bytesOfPacks(host))).toBe(dry.freedBytes)
    expect(dry.removed).toHaveLength(2)
  })
})

async function make(host: Host, repository: Repository, signal?: AbortSignal) {
  const files = [{ name: 'disk', path: host.path('disk') }]
  return await backUp({ repository, kind: 'volume', name: 'data', record: {}, files, signal })
}

/** Its size, and a digest of each chunk that is not zeros: holes of a large file need not be read. */
async function contentOf(path: string): Promise<unknown> {
  await using file = await open(path, 'r')
  const { size } = await file.stat()
  const found: Record<number, string> = {}
  for await (const { at, content } of fileChunks(file, size)) {
    if (!isZero(content)) found[at] = createHash('sha256').update(content).digest('hex')
  }
  return { size, found }
}

async function packs(host: Host): Promise<string[]> {
  const names = await readdir(host.path('repository/packs'), { recursive: true })
  return names.filter((name) => /\/[0-9a-f]{32}$/.test(name)).map((name) => `packs/${name}`)
}

async function bytesOfPacks(host: Host): Promise<number> {
  const sizes = (await packs(host)).map(async (name) => (await stat(host.path(`repository/${name}`))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
