import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needs } from '../../test/support/needs.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { decompress, openZstdCompressor, runTool, zstdVersion } from './index.ts'

describe('zstd frames', () => {
  test('hold what went in, and one after another they are a stream of it all', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ minLength: 1, maxLength: 3000 }), { minLength: 1 }), async (pieces) => {
        const frames = await compressAll(pieces, 3)
        expect((await expand(Buffer.concat(frames))).equals(Buffer.concat(pieces))).toBe(true)
        for (const [at, frame] of frames.entries())
          expect((await expand(frame)).equals(pieces[at] ?? Buffer.alloc(0))).toBe(true)
      }),
      { numRuns: 50 },
    )
  })

  test('the same bytes give the same frame, whatever the compressor did before', async () => {
    const bytes = Buffer.concat([randomBytes(3000), Buffer.alloc(200_000, 'text of a kind ')])
    const [fresh] = await compressAll([bytes], 9)
    const [, used] = await compressAll([randomBytes(100_000), bytes], 9)
    expect(used?.equals(fresh ?? Buffer.alloc(0))).toBe(true)
  })

  test('what cannot be compressed grows little', async () => {
    const [frame] = await compressAll([randomBytes(1 << 20)], 9)
    expect(frame?.length).toBeLessThan((1 << 20) + 1024)
  })

  test('the version is that of the library', () => {
    expect(zstdVersion()).toMatch(/^\d+\.\d+\.\d+$/)
  })

  test.runIf(needs({ tools: ['zstd'] }))('name the size of their content, as zstd has it', async () => {
    const frames = await compressAll([Buffer.alloc(123_456, 'ab'), Buffer.alloc(1000)], 3)
    await using directory = await temporaryDirectory()
    const path = `${directory.path}/frames.zst`
    await writeFile(path, Buffer.concat(frames))
    const { stdout } = await runTool('zstd', ['-lv', path])
    expect(stdout.toString()).toMatch(/Decompressed Size: .*\(124456 B\)/)
  })
})

async function compressAll(pieces: readonly Uint8Array[], level: number): Promise<Buffer[]> {
  const compressor = openZstdCompressor(level)
  try {
    const frames: Buffer[] = []
    for (const piece of pieces) frames.push(await compressor.compress(piece))
    return frames
  } finally {
    compressor.free()
  }
}

async function expand(stream: Buffer): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of decompress(from(stream), { compression: 'zstd' })) pieces.push(piece)
  return Buffer.concat(pieces)
}

async function* from(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
