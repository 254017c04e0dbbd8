import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { noise } from '../../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { digestOf } from '../../base/index.ts'
import { decodeLayerMap, ErofsReader, type LayerMap, layoutBootstrap } from '../../formats/index.ts'
import { CompressedDataWriter } from './compressed-data-writer.ts'
import type { LayerData } from './layer-data.ts'
import { PlainDataWriter } from './plain-data-writer.ts'

const MiB = 2 ** 20
const diffId = digestOf('layer')
const random = noise(3 * MiB, 'compressed')
const text = Buffer.from(Array.from({ length: 100_000 }, (_, i) => `line ${i % 1000} of a text\n`).join(''))

type Piece = { readonly data: Buffer } | { readonly zeros: number }
type Written = readonly (readonly Piece[])[]

const size = fc.oneof(fc.constantFrom(1, 4095, 4096, 4097, MiB - 1, MiB, MiB + 1, 2 * MiB), fc.nat(100_000))
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.tuple(fc.constantFrom(random, text), size).map(([from, bytes]) => ({ data: from.subarray(0, bytes) })),
  size.map((zeros) => ({ zeros })),
)
/** What is empty has no blocks. */
const content = fc.array(piece, { minLength: 1, maxLength: 3 }).filter((pieces) => contentOf(pieces).length > 0)
const files = fc
  .array(fc.tuple(content, fc.integer({ min: 1, max: 2 })), { maxLength: 5 })
  .map((specs) => specs.flatMap(([pieces, times]) => Array<Piece[]>(times).fill(pieces)))
const clusterSizes = fc.constantFrom(1 as const, 16 as const)

test('contents are where the map says, at the places that a plain blob would have', async () => {
  await using dir = await temporaryDirectory()
  let run = 0
  await fc.assert(
    fc.asyncProperty(files, clusterSizes, async (written, clusterBlocks) => {
      const base = join(dir.path, `${run++}`)
      const plain = await writeAll(new PlainDataWriter(`${base}.plain`), written)
      const { starts, blocks, map, blob } = await compress(base, written, clusterBlocks)
      expect({ starts, blocks }).toEqual(plain)
      expect([...map.contents.keys()]).toEqual([...new Set(starts)])
      expect(blob.length).toBe(map.dataBlocks * 4096)
      expect(map.dataBlocks).toBeLessThanOrEqual(blocks)
      for (const [number, pieces] of written.entries()) {
        const content = contentOf(pieces)
        expect(
          readBack({ map, blob, start: starts[number] ?? 0, size: content.length, clusterBlocks }).equals(content),
        ).toBe(true)
      }
    }),
    { numRuns: 15 },
  )
})

test('the bytes do not depend on the pieces in which a file comes', async () => {
  await using dir = await temporaryDirectory()
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      files,
      clusterSizes,
      fc.integer({ min: 1, max: 300_000 }),
      async (written, clusterBlocks, step) => {
        const base = join(dir.path, `${run++}`)
        const whole = await compress(base, written, clusterBlocks)
        const inSteps = await compress(
          `${base}-steps`,
          written.map((pieces) => inPieces(contentOf(pieces), step)),
          clusterBlocks,
        )
        expect(inSteps.mapBytes.equals(whole.mapBytes)).toBe(true)
        expect(inSteps.blob.equals(whole.blob)).toBe(true)
      },
    ),
    { numRuns: 10 },
  )
})

test('the bytes do not depend on who compresses them', async () => {
  await using dir = await temporaryDirectory()
  const texts = [0, 1, 2].map((times) => ({ data: Buffer.concat(Array<Buffer>(times + 1).fill(text)) }))
  const large = [...texts, { data: random }, { zeros: 9 * MiB }, { data: text }]
  const written = [large, [{ data: random }], [{ data: text }], large, [{ data: random.subarray(1) }]]
  const alone = await compress(join(dir.path, 'alone'), written, 16)
  const helped = await compress(join(dir.path, 'helped'), written, 16, 2)
  expect(helped.mapBytes.equals(alone.mapBytes)).toBe(true)
  expect(helped.blob.equals(alone.blob)).toBe(true)
  const [start = 0] = alone.starts
  const content = contentOf(large)
  expect(readBack({ ...alone, start, size: content.length, clusterBlocks: 16 }).equals(content)).toBe(true)
})

test('a file whose beginning does not get smaller is stored as it is; text and holes get small', async () => {
  await using dir = await temporaryDirectory()
  const { map } = await compress(
    join(dir.path, 'x'),
    [
      [{ data: random.subarray(0, MiB) }, { data: text.subarray(0, MiB) }],
      [{ data: random.subarray(0, 4096) }],
      [{ data: text }],
      [{ zeros: 50 * MiB }],
    ],
    1,
  )
  const [mixed, small, letters, hole] = [...map.contents.values()]
  expect([mixed?.kind, small?.kind, letters?.kind, hole?.kind]).toEqual([
    'blocks',
    'blocks',
    'compressed',
    'compressed',
  ])
  expect(letters).toMatchObject({ blocks: expect.toSatisfy((blocks: number) => blocks < text.length / 4096 / 4) })
  expect(hole).toMatchObject({ blocks: expect.toSatisfy((blocks: number) => blocks < 80) })
})

async function compress(base: string, written: Written, clusterBlocks: 1 | 16, threads = 0) {
  const [path, mapPath] = [`${base}.data`, `${base}.map`]
  const { starts, blocks } = await writeAll(
    new CompressedDataWriter({ path, mapPath, clusterBlocks, threads }),
    written,
  )
  const mapBytes = readFileSync(mapPath)
  return { starts, blocks, mapBytes, map: decodeLayerMap(mapBytes), blob: readFileSync(path) }
}

async function writeAll(writer: LayerData, written: Written) {
  try {
    const starts: number[] = []
    for (const pieces of written) {
      writer.beginFile()
      for (const one of pieces) 'data' in one ? writer.write(one.data) : writer.hole(one.zeros)
      starts.push(writer.endFile().startBlock)
      await writer.settled()
    }
    return { starts, blocks: await writer.finish(diffId) }
  } finally {
    await writer.close()
  }
}

interface ReadBack {
  readonly map: LayerMap
  readonly blob: Buffer
  readonly start: number
  readonly size: number
  readonly clusterBlocks: 1 | 16
}

/** Through an image with this file alone. */
function readBack({ map, blob, start, size: bytes, clusterBlocks }: ReadBack): Buffer {
  const content = map.contents.get(start)
  if (content === undefined) throw new Error('the map lacks a content')
  const attributes = { mode: 0, uid: 0, gid: 0, mtimeSeconds: 0, mtimeNanoseconds: 0, xattrs: [] }
  const file = { ...attributes, kind: 'file' as const, size: bytes, data: { blob: 0, ...content } }
  const bootstrap = layoutBootstrap(
    { ...attributes, kind: 'directory', children: new Map([['f', file]]) },
    { uuid: Buffer.alloc(16), blobBlocks: [map.dataBlocks], clusterBlocks },
  )
  const image = Buffer.concat([...bootstrap.chunks(), blob])
  const reader = ErofsReader.open((offset, length) => image.subarray(offset, offset + length), image.length)
  const inode = reader.lookup('f')
  if (inode === undefined) throw new Error('the image lacks its file')
  return reader.readFile(inode)
}

function contentOf(pieces: readonly Piece[]): Buffer {
  return Buffer.concat(pieces.map((one) => ('data' in one ? one.data : Buffer.alloc(one.zeros))))
}

function inPieces(content: Buffer, step: number): Piece[] {
  return Array.from({ length: Math.ceil(content.length / step) }, (_, i) => ({
    data: content.subarray(i * step, (i + 1) * step),
  }))
}
