import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { noise } from '../../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { allocation } from '../../host/index.ts'
import { PlainDataWriter } from './plain-data-writer.ts'

const MiB = 2 ** 20
const pool = noise(3 * MiB, 'pool')

type Piece = { readonly data: Buffer } | { readonly zeros: number }

const size = fc.oneof(fc.constantFrom(1, 511, 4095, 4096, 4097, MiB - 1, MiB, MiB + 1), fc.nat(100_000))
const piece: fc.Arbitrary<Piece> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(size, fc.nat(3)).map(([bytes, from]) => ({ data: pool.subarray(from, from + bytes) })),
  },
  { weight: 1, arbitrary: size.map((zeros) => ({ zeros })) },
)
/** Every file may come again. */
const files = fc
  .array(fc.tuple(fc.array(piece, { minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 2 })), { maxLength: 6 })
  .map((specs) => specs.flatMap(([pieces, times]) => Array<Piece[]>(times).fill(pieces)))

test('a blob holds every content once, each from a block on, in the order of the first', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'data')
  await fc.assert(
    fc.asyncProperty(files, async (written) => {
      rmSync(path, { force: true })
      const { starts, blocks } = await writeFiles(path, written)
      const model = modelOf(written)
      expect(starts).toEqual(model.starts)
      expect(blocks * 4096).toBe(model.blob.length)
      expect(readFileSync(path).equals(model.blob)).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test('long runs of zeros take no room', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'data')
  await writeFiles(path, [
    [{ data: pool.subarray(0, 5000) }, { zeros: 50 * MiB }, { data: pool.subarray(0, 1) }],
    [{ zeros: 30 * MiB }],
  ])
  expect(await allocation(path)).toMatchObject({ logicalBytes: 80 * MiB + 2 * 4096 })
  expect((await allocation(path)).physicalBytes).toBeLessThan(MiB)
})

test('zeros over what was written and taken back are zeros', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'data')
  const long = [{ data: pool }]
  await writeFiles(path, [long, long, [{ zeros: 2 * MiB }, { data: pool.subarray(0, 1) }]])
  const blob = readFileSync(path)
  expect(blob.length).toBe(5 * MiB + 4096)
  expect(blob.subarray(3 * MiB, 5 * MiB).equals(Buffer.alloc(2 * MiB))).toBe(true)
})

test('a file that is there already is not touched', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'data')
  await writeFiles(path, [[{ data: pool.subarray(0, 10) }]])
  expect(() => new PlainDataWriter(path)).toThrow(expect.objectContaining({ code: 'FILE_EXISTS' }))
  expect(readFileSync(path).length).toBe(4096)
})

async function writeFiles(
  path: string,
  written: readonly (readonly Piece[])[],
): Promise<{ starts: number[]; blocks: number }> {
  const writer = new PlainDataWriter(path)
  try {
    const starts = written.map((pieces) => {
      writer.beginFile()
      for (const one of pieces) 'data' in one ? writer.write(one.data) : writer.hole(one.zeros)
      const { startBlock, sha256 } = writer.endFile()
      expect(sha256).toEqual(createHash('sha256').update(contentOf(pieces)).digest())
      return startBlock
    })
    return { starts, blocks: await writer.finish() }
  } finally {
    await writer.close()
  }
}

function modelOf(written: readonly (readonly Piece[])[]): { starts: number[]; blob: Buffer } {
  const known = new Map<string, number>()
  const parts: Buffer[] = []
  let blocks = 0
  const starts = written.map((pieces) => {
    const content = contentOf(pieces)
    const key = content.toString('latin1')
    const start = known.get(key) ?? blocks
    if (!known.has(key)) {
      known.set(key, start)
      const padded = Buffer.alloc(Math.ceil(content.length / 4096) * 4096)
      content.copy(padded)
      parts.push(padded)
      blocks += padded.length / 4096
    }
    return start
  })
  return { starts, blob: Buffer.concat(parts) }
}

function contentOf(pieces: readonly Piece[]): Buffer {
  return Buffer.concat(pieces.map((one) => ('data' in one ? one.data : Buffer.alloc(one.zeros))))
}
