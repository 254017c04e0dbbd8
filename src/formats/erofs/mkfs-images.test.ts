import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectedOf, snapshotOfDirectory, withMountedErofs } from '../../../test/support/erofs-mount.ts'
import { needs } from '../../../test/support/needs.ts'
import { isProblem } from '../../base/index.ts'
import { ErofsReader } from './erofs-reader.ts'
import { bytesIn, imageOf } from './generated-tree.testkit.ts'
import { dataLayout } from './inode-core.ts'
import { tortureTree } from './torture-tree.testkit.ts'

const run = promisify(execFile)
const here = needs({ root: true, tools: ['mount', 'mkfs.erofs'] })

/** The images of mkfs.erofs are made from a mounted image of ours, so that the tree needs no filesystem that can hold it. */
describe.runIf(here)('images of mkfs.erofs read as the kernel shows them', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(`${tmpdir()}/cowshed-mkfs-images-`)
    const tree = tortureTree()
    tree.root.children.delete('many-files')
    // mkfs.erofs 1.5 cuts such long names off and then does not find the files.
    tree.root.children.delete('names')
    writeFileSync(`${directory}/ours`, imageOf(tree))
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  test.each<[string, string[], number]>([
    ['plain', [], dataLayout.flatInline],
    ['with shared xattrs', ['-x', '1'], dataLayout.flatInline],
    ['with compact inodes', ['-T', '1700000000', '--ignore-mtime'], dataLayout.flatInline],
    ['of chunks of 4 KiB', ['--chunksize=4096'], dataLayout.chunkBased],
    ['of chunks of 64 KiB with indexes', ['--chunksize=65536', '-Eforce-chunk-indexes'], dataLayout.chunkBased],
  ])('%s', async (name, options, layout) => {
    const image = await mkfs(name, options)
    const bytes = readFileSync(image)
    const reader = open(bytes)
    reader.verify()
    const file = reader.lookup('sizes/100000')
    if (file === undefined) throw new Error('no such file')
    expect(file.layout).toBe(layout)
    const whole = reader.readFile(file)
    for (const offset of [1, 4095, 65_535, 65_537, 99_999]) {
      expect(reader.readFile(file, offset, 5000)).toEqual(whole.subarray(offset, offset + 5000))
    }
    const found = await withMountedErofs(image, snapshotOfDirectory)
    expect(expectedOf(reader.tree(), bytesIn(bytes))).toEqual(found)
  })

  test('one compressed in the compact layout, or as kernels before 5.4 want it, is refused by name', async () => {
    const compact = open(readFileSync(await mkfs('compact', ['-zlz4'])))
    expect(() => compact.verify()).toThrow(/compressed in a way that is not supported/)
    const old = open(readFileSync(await mkfs('old', ['-zlz4', '-Elegacy-compress'])))
    expect(() => old.verify()).toThrow(/compressed without padding in front/)
  })

  test('damaged ones give a value or a Problem', async () => {
    const plain = readFileSync(await mkfs('plain', []))
    const chunked = readFileSync(await mkfs('chunked', ['--chunksize=4096']))
    const changes = fc.array(fc.tuple(fc.nat({ max: 60_000 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(fc.constantFrom(plain, chunked), changes, (sound, mutations) => {
        const image = Buffer.from(sound)
        image.writeUInt32LE(2, 1024 + 8)
        for (const [at, value] of mutations) image[1152 + at] = value
        try {
          open(image).verify()
        } catch (error) {
          if (!isProblem(error, 'EROFS_INVALID')) throw error
        }
      }),
      { numRuns: 50 },
    )
  })

  async function mkfs(name: string, options: readonly string[]): Promise<string> {
    const image = `${directory}/${name.replaceAll(' ', '-')}`
    await withMountedErofs(`${directory}/ours`, (tree) =>
      run('mkfs.erofs', ['--quiet', ...options, image, tree], { timeout: 60_000 }),
    )
    return image
  }
})

function open(image: Buffer): ErofsReader {
  return ErofsReader.open((offset, length) => image.subarray(offset, offset + length), image.length)
}
