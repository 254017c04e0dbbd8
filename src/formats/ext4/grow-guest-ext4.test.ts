import { execFileSync } from 'node:child_process'
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { readFile, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fsckExt4, withMountedExt4 } from '../../../test/support/ext4-mount.ts'
import { needs } from '../../../test/support/needs.ts'
import { noise } from '../../../test/support/noise.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { isProblem } from '../../base/index.ts'
import { growGuestExt4 } from './grow-guest-ext4.ts'
import { readFreeBlocks } from './read-free-blocks.ts'

const [MiB, GiB] = [2 ** 20, 2 ** 30]
const features =
  'has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,large_file,huge_file,dir_nlink,extra_isize,metadata_csum'

describe.runIf(needs({ tools: ['mke2fs', 'e2fsck', 'dumpe2fs', 'debugfs'] }))('a filesystem of a guest', () => {
  let directory: TemporaryDirectory
  beforeAll(async () => {
    directory = await temporaryDirectory()
  })
  afterAll(() => directory[Symbol.asyncDispose]())

  const make = (bytes: number, more = ',sparse_super2') => {
    const path = join(directory.path, 'disk')
    makeExt4(path, bytes, `none,${features}${more}`)
    return path
  }

  test.each([
    ['its last group alone', 64 * MiB, [100 * MiB]],
    ['to whole groups', 64 * MiB, [256 * MiB]],
    ['a short last group, and no further when the next one would be too short', 300 * MiB, [385 * MiB, 2 * GiB]],
    ['as far as its table of descriptors goes', 5 * GiB, [8 * GiB]],
    ['beyond that, again and again', 5 * GiB, [8 * GiB + 64 * MiB, 9 * GiB, 60 * GiB, 300 * GiB]],
    ['from a table that is full', 8 * GiB, [16 * GiB, 16 * GiB + 128 * MiB]],
  ])(
    'grows, %s: e2fsck finds nothing wrong, and what was there is there',
    async (_, from, sizes) => {
      const path = make(from)
      for (const bytes of sizes) {
        grow(path, bytes)
        await fsckExt4(path)
        expect(freeIn(path)).toEqual(freeByDumpe2fs(path))
        expect(blocksByDumpe2fs(path) * 4096).toBeGreaterThan(bytes - 64 * MiB)
        expect(read(path, 'file')).toBe(await readFile(import.meta.filename, 'utf8'))
      }
      // Nothing but descriptors and a bitmap for each growth.
      expect((await stat(path)).blocks * 512).toBeLessThan(8 * MiB)
    },
    60_000,
  )

  test('that is as large already stays as it is', () => {
    const path = make(256 * MiB)
    expect(growGuestExt4({ from: 256 * MiB, to: 256 * MiB + 4096, read: reader(path) })).toEqual([])
  })

  test.each([
    ['needs_recovery', 'journal'],
    ['^metadata_csum', 'checksums'],
    ['^sparse_super2', 'something else'],
  ])('with the feature %s is left alone', (feature, why) => {
    const path = make(256 * MiB)
    execFileSync('debugfs', ['-w', '-R', `feature ${feature}`, path], { stdio: 'ignore' })
    expect(() => growGuestExt4({ from: 256 * MiB, to: GiB, read: reader(path) })).toThrow(why)
  })

  test('that is damaged is refused, or what is written is the same', () => {
    const path = make(300 * MiB)
    const whole = reader(path)
    const wanted = growGuestExt4({ from: 300 * MiB, to: GiB, read: whole })
    const last = 4096 * whole(4096 + 2 * 64, 4).readUInt32LE()
    const places = fc.oneof(
      fc.integer({ min: 1024, max: 2047 }),
      fc.integer({ min: 4096, max: 4096 + 3 * 64 - 1 }),
      fc.integer({ min: last, max: last + 4095 }),
    )
    fc.assert(
      fc.property(places, fc.integer({ min: 1, max: 255 }), (at, change) => {
        const torn = (offset: number, length: number) => {
          const bytes = whole(offset, length)
          if (at >= offset && at < offset + length) bytes[at - offset] = (bytes[at - offset] ?? 0) ^ change
          return bytes
        }
        const found = orRefused(() => growGuestExt4({ from: 300 * MiB, to: GiB, read: torn }))
        if (found !== undefined) expect(found).toEqual(wanted)
      }),
      { numRuns: 200 },
    )
  })

  test.runIf(needs({ root: true, tools: ['mount', 'umount'] }))(
    'is one to the kernel, which fills what was added, before and behind the end of its table',
    async () => {
      const path = make(8 * GiB)
      grow(path, 8 * GiB + 320 * MiB)
      const fill = async (root: string) => {
        const { blocks } = await statfs(root)
        expect(blocks * 4096).toBeGreaterThan(8 * GiB)
        await writeFile(join(root, 'more'), noise(MiB, 'more'))
        // Nearly all that there is, without writing it.
        execFileSync('fallocate', ['-l', `${8 * GiB}`, join(root, 'all')])
      }
      await withMountedExt4(path, fill, 'rw')
      await fsckExt4(path)
      expect(freeIn(path)).toEqual(freeByDumpe2fs(path))
    },
    60_000,
  )
})

function makeExt4(path: string, bytes: number, options: string): void {
  resize(path, 'w', bytes)
  const extended = options.includes('sparse_super2') ? ['-E', 'num_backup_sb=1,packed_meta_blocks=1'] : []
  const shape = ['-b', '4096', '-I', '256', '-i', '16384', '-m', '0', '-J', 'size=4', ...extended]
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', ...shape, '-O', options, path], {
    env: { PATH: process.env.PATH, MKE2FS_CONFIG: '/dev/null' },
    stdio: 'ignore',
  })
  execFileSync('debugfs', ['-w', '-R', `write ${import.meta.filename} file`, path], { stdio: 'ignore' })
}

function resize(path: string, flags: string, bytes: number): void {
  const fd = openSync(path, flags)
  ftruncateSync(fd, bytes)
  closeSync(fd)
}

function grow(path: string, to: number): void {
  const fd = openSync(path, 'r+')
  const { size: from } = fstatSync(fd)
  const pieces = growGuestExt4({ from, to, read: reader(path) })
  ftruncateSync(fd, to)
  for (const { offset, bytes } of pieces) writeSync(fd, bytes, 0, bytes.length, offset)
  closeSync(fd)
}

function reader(path: string): (offset: number, length: number) => Buffer {
  return (offset, length) => {
    const fd = openSync(path, 'r')
    const bytes = Buffer.alloc(length)
    try {
      return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
    } finally {
      closeSync(fd)
    }
  }
}

function read(path: string, name: string): string {
  return execFileSync('debugfs', ['-R', `cat ${name}`, path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
}

function freeIn(path: string): string[] {
  const { runs } = readFreeBlocks({ bytes: fileBytes(path), read: reader(path) })
  return runs.map(({ block, blocks }) => (blocks === 1 ? `${block}` : `${block}-${block + blocks - 1}`))
}

function fileBytes(path: string): number {
  const fd = openSync(path, 'r')
  const { size } = fstatSync(fd)
  closeSync(fd)
  return size
}

function freeByDumpe2fs(path: string): string[] {
  return [...dumpe2fs(path).matchAll(/^ {2}Free blocks: (.+)$/gm)].flatMap(([, list = '']) => list.split(', '))
}

function blocksByDumpe2fs(path: string): number {
  return Number(/^Block count: +(\d+)$/m.exec(dumpe2fs(path))?.[1])
}

function dumpe2fs(path: string): string {
  return execFileSync('dumpe2fs', [path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 64 * MiB,
  })
}

function orRefused<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (isProblem(error, 'EXT4_INVALID')) return undefined
    throw error
  }
}
