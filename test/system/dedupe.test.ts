import { createHash } from 'node:crypto'
import { open, readdir, readFile, truncate } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { toolsFor, withSmallFilesystem } from '../support/filesystems.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { openRoomsOn } from '../support/open-rooms.ts'

const MiB = 2 ** 20
const request = { names: [], dry_run: false, running: false }

describe.runIf(
  needs({ root: true, tools: ['mke2fs', ...busyboxImageTools, ...toolsFor('btrfs'), ...toolsFor('ext4')] }),
)('dedupe of a data directory', () => {
  test('what sheds have in common is there once; df agrees, and only named sheds change', async () => {
    await withSmallFilesystem('btrfs', 400 * MiB, async (directory) => {
      await using rooms = await openRoomsOn(directory)
      const { layout, usage } = rooms
      await rooms.loadMini()
      for (const [at, name] of ['a', 'b', 'c'].entries()) {
        await rooms.create(name)
        await write(layout.shed(name).upper, 20 * MiB + at * 4096, noise(6 * MiB, 'packages'))
      }
      const before = await Promise.all(['a', 'b', 'c'].map((name) => digest(layout.shed(name).upper)))
      const phases = new Set<string>()
      const onProgress = ({ phase }: { phase: string }) => void phases.add(phase)

      const dry = await usage.dedupe({ ...request, dry_run: true })
      expect(dry.totals.reclaimed_bytes).toBeUndefined()
      // The first to be made keeps what it has; besides, all came from a template with zeros in it.
      const large = dry.items.filter(({ shared_bytes }) => shared_bytes >= 6 * MiB)
      expect(large.map(({ kind, name }) => [kind, name]).sort()).toEqual([
        ['shed', 'b'],
        ['shed', 'c'],
      ])
      const union = (await usage.df()).union_bytes
      const one = await usage.dedupe({ ...request, names: ['c'] }, { onProgress })
      expect(one.items.map(({ name }) => name)).toEqual(['c'])
      const all = await usage.dedupe(request, { onProgress })
      expect([...phases]).toEqual(['hash', 'share'])
      for (const { totals } of [one, all]) expect(totals.reclaimed_bytes).toBe(totals.predicted_bytes)
      expect(one.totals.predicted_bytes + all.totals.predicted_bytes).toBe(dry.totals.predicted_bytes)
      expect(all.totals).toMatchObject({ changed_bytes: 0, refused_bytes: 0 })
      // What was read for the first run, but for what others have first now.
      expect(all.totals.read_bytes).toBeLessThan(64 * 1024)
      expect(await Promise.all(['a', 'b', 'c'].map((name) => digest(layout.shed(name).upper)))).toEqual(before)

      const after = await usage.df()
      // What was remembered of the blocks is on the books too.
      const hashes = after.caches.filter(({ path }) => path.startsWith(layout.blockHashes))
      expect(hashes.length).toBeGreaterThanOrEqual(3)
      expect(after.union_bytes).toBeLessThan(union - 11 * MiB)
      expect(await readdir(layout.staging)).toEqual([])
      await expect(usage.dedupe({ ...request, names: ['nobody'] })).rejects.toMatchObject({ code: 'SHED_NOT_FOUND' })

      const cancelled = usage.dedupe(request, { signal: AbortSignal.abort() })
      await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' })
      expect(await readdir(layout.staging)).toEqual([])
    })
  })

  test('where files cannot share it says so, and what to do', async () => {
    await withSmallFilesystem('ext4', 32 * MiB, async (directory) => {
      await using rooms = await openRoomsOn(directory)
      await expect(rooms.usage.dedupe(request)).rejects.toMatchObject({
        code: 'HOST_UNSUPPORTED',
        message: expect.stringContaining('ext4'),
        hint: expect.stringContaining('btrfs'),
      })
    })
  })
})

async function write(path: string, at: number, bytes: Buffer): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, at)
  await truncate(path, 64 * MiB)
}

async function digest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}
