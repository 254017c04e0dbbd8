import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Dirent, encodeDirectoryBlock, packDirectory } from './directory-blocks.ts'
import { decodeDirectoryBlock } from './read-directory.ts'
import { blockSize } from './tree.ts'

const names = fc
  .uniqueArray(fc.integer({ min: 1, max: 255 }), { maxLength: 200, size: 'max' })
  .map((lengths) => lengths.map((length) => 'n'.repeat(length)).sort())

test('packing fills each block as far as the next name allows, and the blocks read back', () => {
  fc.assert(
    fc.property(names, (sorted) => {
      const { starts, size } = packDirectory(sorted)
      const blocks = starts.map((start, index) => sorted.slice(start, starts[index + 1]))
      const used = blocks.map((block) => block.reduce((sum, name) => sum + 12 + name.length, 0))
      blocks.forEach((_, index) => {
        expect(used[index]).toBeLessThanOrEqual(blockSize)
        const next = blocks[index + 1]?.[0]
        if (next !== undefined) expect((used[index] ?? 0) + 12 + next.length).toBeGreaterThan(blockSize)
      })
      expect(size).toBe((blocks.length - 1) * blockSize + (used.at(-1) ?? 0))

      const entries = blocks.map((block) =>
        block.map((name): Dirent => ({ name, nid: 2 ** 40 + name.length, kind: 'socket' })),
      )
      const read = entries.flatMap((block) =>
        block.length === 0 ? [] : decodeDirectoryBlock(encodeDirectoryBlock(block, blockSize), 1),
      )
      expect(read).toEqual(entries.flat())
    }),
    { numRuns: 50 },
  )
})

test('a block may be full to its last byte, and no further', () => {
  const names = Array.from({ length: 15 }, (_, index) => `${String(index).padStart(2, '0')}${'n'.repeat(242)}`)
  expect(packDirectory([...names, 'z'.repeat(4096 - 15 * 256 - 12)])).toEqual({ starts: [0], size: 4096 })
  expect(packDirectory([...names, 'z'.repeat(4097 - 15 * 256 - 12)]).starts).toEqual([0, 15])
})

describe('a damaged block is refused', () => {
  const sound = () =>
    encodeDirectoryBlock(
      [
        { name: '.', nid: 1, kind: 'directory' },
        { name: 'ab', nid: 2, kind: 'file' },
      ],
      27,
    )
  test('the sound one is not', () => {
    expect(decodeDirectoryBlock(sound(), 1).map(({ name }) => name)).toEqual(['.', 'ab'])
  })
  test.each([
    ['no room for an entry', (block: Buffer) => block.subarray(0, 11)],
    ['no entries', (block: Buffer) => patched(block, 8, 0)],
    ['entries that end inside one', (block: Buffer) => patched(block, 8, 23)],
    ['more entries than bytes', (block: Buffer) => patched(block, 8, 36)],
    ['a name behind the end', (block: Buffer) => patched(block, 20, 28)],
    ['an empty name', (block: Buffer) => patched(block, 20, 24)],
    ['a name too long', () => encodeDirectoryBlock([{ name: 'n'.repeat(256), nid: 1, kind: 'file' }], 300)],
    ['an unknown type', (block: Buffer) => patched(block, 10, 9)],
    ['a slash in a name', (block: Buffer) => patched(block, 25, 0x2f62)],
    ['a nid of 64 bits', (block: Buffer) => patched(block, 6, 0xffff)],
  ])('%s', (_, damage) => {
    expect(() => decodeDirectoryBlock(damage(sound()), 1)).toThrow(expect.objectContaining({ code: 'EROFS_INVALID' }))
  })
})

function patched(block: Buffer, offset: number, value: number): Buffer {
  block.writeUInt16LE(value, offset)
  return block
}
