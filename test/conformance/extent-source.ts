import { lstatSync } from 'node:fs'
import { mkdir, open, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Accuracy, ExtentFile, ExtentSource, Extents } from '../../src/host/index.ts'
import { type FilesystemType, toolsFor } from '../support/filesystems.ts'
import { type Mounted, mountFresh } from '../support/mount-filesystem.ts'
import { needs } from '../support/needs.ts'
import { noise } from '../support/noise.ts'
import { reflink } from '../support/reflink.ts'

export interface SourceUnderTest {
  readonly filesystem: FilesystemType | 'tmpfs'
  readonly mountOptions?: readonly string[]
  readonly mkfsOptions?: readonly string[]
  readonly accuracy: Accuracy
  /** Whether files share extents there, and the source sees it. */
  readonly sharing: boolean
  /** Whether what is on disk is as long as what was written. */
  readonly uncompressed: boolean
  readonly open: (directory: string) => ExtentSource
}

const MiB = 2 ** 20

/** The suite that every way of asking for extents must pass, on a real filesystem. Needs root. */
export function describeExtentSource(name: string, subject: SourceUnderTest): void {
  const tools = subject.filesystem === 'tmpfs' ? ['mount', 'umount'] : toolsFor(subject.filesystem)
  describe.runIf(needs({ root: true, tools }))(name, () => {
    let mounted: Mounted
    beforeAll(async () => {
      mounted = await mountFresh(subject.filesystem, 400 * MiB, subject.mountOptions, subject.mkfsOptions)
    })
    afterAll(() => mounted[Symbol.asyncDispose]())

    const path = (file: string) => join(mounted.directory, file)
    const look = (...files: string[]): Extents[] => {
      using source = subject.open(mounted.directory)
      source.settle()
      return files.map((file) => extentsIn(source, path(file)))
    }

    test('says how true it is', () => {
      using source = subject.open(mounted.directory)
      expect(source.accuracy).toBe(subject.accuracy)
    })

    test('what was written a moment ago is there, as many bytes as it takes; holes are not', async () => {
      await write(path('dense'), 3 * MiB)
      await write(path('sparse'), MiB, 50 * MiB)
      await truncate(path('sparse'), 100 * MiB)
      const [dense, sparse] = look('dense', 'sparse').map(total)
      if (subject.uncompressed) expect([dense, sparse]).toEqual([3 * MiB, MiB])
      else expect(dense).toBeLessThanOrEqual(3 * MiB)
    })

    test('nothing has no extents, and a file that is gone has none to tell of', async () => {
      await write(path('gone'), 4096)
      const { ino } = lstatSync(path('gone'))
      await rm(path('gone'))
      await write(path('empty'), 0)
      await truncate(path('empty'), MiB)
      expect(total(look('empty')[0])).toBe(0)
      using source = subject.open(mounted.directory)
      source.settle()
      const [gone] = source.extentsOf([{ path: path('gone'), inode: ino, allocatedBytes: 0 }])
      expect(gone?.starts.length ?? 0).toBe(0)
    })

    test('no two files are at one place unless they share it', async () => {
      await write(path('one'), 2 * MiB)
      await write(path('two'), 2 * MiB)
      const [one, two] = look('one', 'two')
      expect(common(one, two)).toBe(0)
    })

    test('a file of very many extents is there whole', async () => {
      const pieces = 5000
      {
        await using file = await open(path('fragments'), 'wx')
        for (let i = 0; i < pieces; i++) await file.write(noise(4096, i), 0, 4096, i * 8192)
      }
      const [extents] = look('fragments')
      expect(total(extents)).toBeGreaterThanOrEqual(pieces * 4096)
      expect(total(extents)).toBeLessThanOrEqual(lstatSync(path('fragments')).blocks * 512)
    })

    test('many files at once have what each has alone, whatever others are between them', async () => {
      await write(path('behind'), 8192)
      using source = subject.open(mounted.directory)
      source.settle()
      // "fragments" has so many extents that they do not come in one piece.
      for (const names of [
        ['nothing of the kind', 'behind', 'fragments', 'two'],
        ['behind', 'one'],
      ]) {
        const files = names.map((name) => fileAt(path(name)))
        const [together, alone] = [source.extentsOf(files), files.flatMap((file) => source.extentsOf([file]))]
        if (subject.sharing) expect(together).toEqual(alone)
        else expect(together.map(total)).toEqual(alone.map(total))
      }
    })

    test('looking changes nothing', async () => {
      await write(path('still'), MiB)
      const before = lstatSync(path('still'), { bigint: true })
      const [first, second] = [look('still')[0], look('still')[0]]
      expect(lstatSync(path('still'), { bigint: true })).toEqual({ ...before, blocks: expect.anything() })
      if (subject.sharing) expect(first).toEqual(second)
    })

    if (!subject.sharing) return
    describe('shared extents', () => {
      test('a clone is at the place of its source until it is overwritten, and is then elsewhere at once', async () => {
        await write(path('source'), 4 * MiB)
        reflink(path('source'), path('clone'))
        const [source, clone] = look('source', 'clone')
        expect(common(source, clone)).toBe(total(source))
        expect(total(source)).toBeGreaterThan(0)
        await write(path('clone'), MiB, MiB)
        const [, overwritten] = look('source', 'clone')
        expect(common(overwritten, source)).toBeLessThan(total(overwritten))
      })

      test('that somebody else has it too can be seen', async () => {
        await mkdir(path('elsewhere'))
        await write(path('mine'), MiB)
        reflink(path('mine'), path('elsewhere/theirs'))
        expect(isShared(subject, path('mine'))).toBe(true)
        await rm(path('elsewhere'), { recursive: true })
        expect(isShared(subject, path('mine'))).toBe(false)
      })
    })
  })
}

/** Bytes that do not compress, not waited for to be on disk. */
async function write(path: string, bytes: number, at = 0): Promise<void> {
  await using file = await open(path, at === 0 ? 'w' : 'a').then(async (made) => {
    await made.close()
    return await open(path, 'r+')
  })
  for (let done = 0; done < bytes; done += MiB) {
    const piece = Math.min(MiB, bytes - done)
    await file.write(noise(piece, at + done), 0, piece, at + done)
  }
}

function fileAt(path: string): ExtentFile {
  const { ino = 2 ** 40, blocks = 0 } = lstatSync(path, { throwIfNoEntry: false }) ?? {}
  return { path, inode: ino, allocatedBytes: blocks * 512 }
}

function extentsIn(source: ExtentSource, path: string): Extents {
  const [extents] = source.extentsOf([fileAt(path)])
  if (extents === undefined) throw new Error(`${path} is gone`)
  return extents
}

function total(extents: Extents | undefined): number {
  return (extents?.lengths ?? new Float64Array()).reduce((sum, length) => sum + length, 0)
}

/** How much of `a` is where something of `b` is. */
function common(a: Extents | undefined, b: Extents | undefined): number {
  const pieces = (extents: Extents | undefined) =>
    [...(extents?.starts ?? [])].map((start, at) => [start, start + (extents?.lengths[at] ?? 0)] as const)
  let sum = 0
  const others = new Map(pieces(b))
  for (const [start, end] of pieces(a)) {
    for (const [from, to] of others) sum += Math.max(0, Math.min(end, to) - Math.max(start, from))
  }
  return sum
}

/** Whether anybody else refers to anything of a file. */
function isShared(subject: SourceUnderTest, path: string): boolean {
  using source = subject.open(join(path, '..'))
  source.settle()
  const { starts, marks } = extentsIn(source, path)
  if (source.references === undefined) return marks.some((bits) => (bits & 1) !== 0)
  return source.references(Float64Array.from(new Set(starts)).sort()).some((count) => count > 1)
}
