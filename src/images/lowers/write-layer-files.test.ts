import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BuiltLayer, buildLayer, digestOf, noise } from '../../../test/support/image-builder.ts'
import { buildTar, type TarPiece } from '../../../test/support/tar-builder.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type Digest, isProblem } from '../../base/index.ts'
import { decodeLayerIndex, LayerIndexEncoder, TarReader } from '../../formats/index.ts'
import { maxExpandedBytes, maxIndexBytes } from './layer-limits.ts'
import { LayerUnpacker } from './layer-unpacker.ts'
import { PlainDataWriter } from './plain-data-writer.ts'
import { writeLayerFiles } from './write-layer-files.ts'

const members: TarPiece[] = [
  { path: 'd', type: 'directory', mode: 0o700 },
  { path: 'd/small', content: 'small', xattrs: { 'user.a': 'b' } },
  { path: 'd/big', content: noise(10_000, 'big') },
  { path: 'd/again', content: noise(10_000, 'big') },
  { path: 'edge', content: noise(512, 'edge') },
  { path: 'over', content: noise(513, 'over') },
  { path: 'hard', type: 'hardlink', linkTarget: 'd/big' },
  { path: 'soft', type: 'symlink', linkTarget: 'd' },
  { path: 'null', type: 'char', major: 1, minor: 3 },
  { path: 'd/.wh.gone' },
]

describe('a layer in the cache', () => {
  test('has its entries in the index, and each content over 512 bytes once in the data blob', async () => {
    const { data, index } = await unpack(buildLayer(members))
    expect(data).toEqual(
      Buffer.concat([noise(10_000, 'big'), Buffer.alloc(2288), noise(513, 'over'), Buffer.alloc(4096 - 513)]),
    )
    const decoded = decodeLayerIndex(index)
    expect(decoded).toMatchObject({ dataBlocks: 4, entryCount: members.length, warnings: [] })
    const found = [...decoded.entries].map((entry) => ({
      path: entry.path.toString(),
      ...(entry.type === 'file' && entry.content.kind === 'blocks' ? { block: entry.content.startBlock } : {}),
    }))
    expect(found).toEqual([
      { path: 'd' },
      { path: 'd/small' },
      { path: 'd/big', block: 0 },
      { path: 'd/again', block: 0 },
      { path: 'edge' },
      { path: 'over', block: 3 },
      { path: 'hard' },
      { path: 'soft' },
      { path: 'null' },
      { path: 'd/.wh.gone' },
    ])
  })

  test('has the same bytes however the layer was compressed', async () => {
    const [plain, ...others] = await Promise.all(
      (['none', 'gzip', 'zstd'] as const).map((compression) => unpack(buildLayer(members, { compression }))),
    )
    for (const other of others) expect(other).toEqual(plain)
  })

  test('keeps what the tar reader passed over as warnings', async () => {
    const { index } = await unpack(buildLayer([{ path: 'odd', typeflag: 'Z' }]))
    expect(decodeLayerIndex(index)).toMatchObject({ entryCount: 0, warnings: [expect.stringContaining('odd')] })
  })

  test('may be of sha512', async () => {
    const layer = buildLayer(members)
    const diffId = `sha512:${createHash('sha512').update(layer.tar).digest('hex')}`
    const { index } = await unpack({ ...layer, diffId })
    expect(decodeLayerIndex(index).diffId).toBe(diffId)
  })
})

describe('a layer that is not right', () => {
  test('is refused when it is not what the config names', async () => {
    const layer = { ...buildLayer(members), diffId: digestOf(Buffer.from('else')) }
    await expect(unpack(layer)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', data: { expected: layer.diffId } })
  })

  test('is refused when it is not there', async () => {
    await using dir = await temporaryDirectory()
    const attempt = writeLayerFiles({
      blobPath: join(dir.path, 'none'),
      diffId: digestOf(Buffer.alloc(0)) as Digest,
      dataPath: join(dir.path, 'data'),
      indexPath: join(dir.path, 'index'),
    })
    await expect(attempt).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  })

  test('is refused wherever it is cut off or damaged', async () => {
    const layer = buildLayer(members)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('none' as const, 'gzip' as const, 'zstd' as const),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        async (compression, at, flip) => {
          const { blob } = buildLayer(layer.tar, { compression })
          const bad = Buffer.from(flip === 0 ? blob.subarray(0, at % blob.length) : blob)
          if (flip !== 0) bad[at % blob.length] = (bad[at % blob.length] ?? 0) ^ flip
          const problem = await unpack({ ...layer, blob: bad }).then(
            () => undefined,
            (error: unknown) => error,
          )
          // A changed header of the compression may decompress to the same bytes; then nothing is wrong with them.
          if (problem !== undefined && !isProblem(problem)) throw problem
          if (compression === 'none')
            expect(problem).toMatchObject({
              code: expect.stringMatching(/DIGEST_MISMATCH|TAR_INVALID|COMPRESSION_INVALID|LIMIT_EXCEEDED/),
            })
        },
      ),
      { numRuns: 150 },
    )
  })

  test('is refused when it claims more than any disk has', async () => {
    const exabyte: TarPiece = { path: 'huge', sparse: { form: '1.0', realSize: 2 ** 53 - 1, segments: [] } }
    await expect(unpack(buildLayer([exabyte]))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })

  test('is refused when its metadata grows without end', async () => {
    await using dir = await temporaryDirectory()
    const data = new PlainDataWriter(join(dir.path, 'data'))
    const index = new LayerIndexEncoder(() => {})
    index.bytes = maxIndexBytes - 100
    const unpacker = new LayerUnpacker(data, index)
    const tar = new TarReader(unpacker)
    expect(() => tar.write(buildTar([{ path: 'x'.repeat(200) }]))).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    )
    data.close()
  })

  test('may expand so far and no further', () => {
    const GiB = 2 ** 30
    expect(maxExpandedBytes(0)).toBe(16 * GiB)
    expect(maxExpandedBytes(GiB / 10)).toBe(20 * GiB)
    expect(maxExpandedBytes(100 * GiB)).toBe(64 * GiB)
  })
})

async function unpack({ blob, diffId }: Pick<BuiltLayer, 'blob' | 'diffId'>): Promise<{ data: Buffer; index: Buffer }> {
  await using dir = await temporaryDirectory()
  const blobPath = join(dir.path, 'layer')
  await writeFile(blobPath, blob)
  await mkdir(join(dir.path, 'out'))
  const files = { dataPath: join(dir.path, 'out/data'), indexPath: join(dir.path, 'out/index') }
  await writeLayerFiles({ blobPath, diffId: diffId as Digest, ...files })
  return { data: await readFile(files.dataPath), index: await readFile(files.indexPath) }
}
