import { execFileSync } from 'node:child_process'
import { closeSync, copyFileSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { isProblem } from '../../base/index.ts'
import { readFreeBlocks } from './read-free-blocks.ts'

const MiB = 2 ** 20
const features =
  'has_journal,ext_attr,dir_index,filetype,extent,large_file,huge_file,dir_nlink,extra_isize,metadata_csum'

describe.runIf(needs({ tools: ['mke2fs', 'dumpe2fs', 'debugfs'] }))('which blocks are free', () => {
  let directory: TemporaryDirectory
  let image: string
  beforeAll(async () => {
    directory = await temporaryDirectory()
    image = join(directory.path, 'disk')
    // Three groups, the last one short and with a bitmap that was never written.
    make(image, 300 * MiB, '-O', `none,${features},64bit,flex_bg,sparse_super2`)
  })
  afterAll(() => directory[Symbol.asyncDispose]())

  test.each([
    ['as templates are made', ['-O', `none,${features},64bit,flex_bg,sparse_super2`, '-E', 'packed_meta_blocks=1']],
    [
      'with room for more descriptors and several backups',
      ['-O', `none,${features},64bit,flex_bg,resize_inode,sparse_super`],
    ],
    ['without 64 bits', ['-O', `none,${features}`]],
  ])('%s: what dumpe2fs says, block for block', async (_, options) => {
    const path = join(directory.path, 'other')
    make(path, 300 * MiB, ...options)
    expect(freeIn(path)).toEqual(freeByDumpe2fs(path))
  })

  test('whatever is damaged is refused, or the same is found: nothing that is in use is ever called free', () => {
    const fd = openSync(image, 'r')
    try {
      const free = freeIn(image)
      // Where anything is: superblock, descriptors, a bitmap.
      const bitmap = readAt(fd, 4096, 4).readUInt32LE() * 4096
      const places = fc.oneof(
        fc.integer({ min: 1024, max: 2047 }),
        fc.integer({ min: 4096, max: 4096 + 3 * 64 - 1 }),
        fc.integer({ min: bitmap, max: bitmap + 4095 }),
      )
      fc.assert(
        fc.property(places, fc.integer({ min: 1, max: 255 }), (at, change) => {
          const read = (offset: number, length: number) => {
            const bytes = readAt(fd, offset, length)
            if (at >= offset && at < offset + length) bytes[at - offset] = (bytes[at - offset] ?? 0) ^ change
            return bytes
          }
          const found = orRefused(() => asText(readFreeBlocks({ bytes: 300 * MiB, read }).runs))
          if (found !== undefined) expect(found).toEqual(free)
        }),
        { numRuns: 600 },
      )
    } finally {
      closeSync(fd)
    }
  })

  test('arbitrary bytes, short ones too, are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12_000 }), (bytes) => {
        expect(orRefused(() => freeOf(Buffer.from(bytes)))).toBeUndefined()
      }),
      { numRuns: 200 },
    )
  })

  test.each([
    ['needs_recovery', 'journal'],
    ['^metadata_csum', 'checksums'],
    ['encrypt', 'something else'],
  ])('the feature %s is refused', async (feature, why) => {
    const path = join(directory.path, 'featured')
    copyFileSync(image, path)
    execFileSync('debugfs', ['-w', '-R', `feature ${feature}`, path], { stdio: 'ignore' })
    expect(() => freeIn(path)).toThrow(why)
  })

  test('an image that is cut off is refused', async () => {
    const path = join(directory.path, 'short')
    copyFileSync(image, path)
    const fd = openSync(path, 'r+')
    ftruncateSync(fd, 299 * MiB)
    closeSync(fd)
    expect(() => freeIn(path)).toThrow('size of the disk')
  })
})

function make(path: string, bytes: number, ...options: string[]): void {
  const fd = openSync(path, 'w')
  ftruncateSync(fd, bytes)
  closeSync(fd)
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-b', '4096', ...options, path], {
    env: { PATH: process.env.PATH, MKE2FS_CONFIG: '/dev/null' },
  })
  // A few files, so that there are gaps.
  const commands = [...Array(6).keys()].map((at) => `write ${import.meta.filename} file${at}`)
  commands.push('rm file1', 'rm file4')
  for (const command of commands) execFileSync('debugfs', ['-w', '-R', command, path], { stdio: 'ignore' })
}

function freeIn(path: string): string[] {
  const fd = openSync(path, 'r')
  try {
    const { size } = fstatSync(fd)
    const read = (offset: number, length: number) => readAt(fd, offset, length)
    return asText(readFreeBlocks({ bytes: size, read }).runs)
  } finally {
    closeSync(fd)
  }
}

function readAt(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, offset))
}

function freeOf(bytes: Buffer): string[] {
  const read = (offset: number, length: number) => Buffer.from(bytes.subarray(offset, offset + length))
  return asText(readFreeBlocks({ bytes: bytes.length, read }).runs)
}

function asText(runs: readonly { readonly block: number; readonly blocks: number }[]): string[] {
  return runs.map(({ block, blocks }) => (blocks === 1 ? `${block}` : `${block}-${block + blocks - 1}`))
}

/** A group for each line; the first of those that begin so is the summary. */
function freeByDumpe2fs(path: string): string[] {
  const text = execFileSync('dumpe2fs', [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return [...text.matchAll(/^ {2}Free blocks: (.+)$/gm)].flatMap(([, list = '']) => list.split(', '))
}

function orRefused<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (isProblem(error, 'EXT4_INVALID')) return undefined
    throw error
  }
}
