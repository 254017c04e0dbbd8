import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { decompress } from './decompress.ts'
import { zstd } from './zstd.ts'

test('a stream is compressed and comes back, in whatever pieces it came', async () => {
  const content = Buffer.concat([Buffer.alloc(3_000_000, 'x'), randomBytes(2_500_000), Buffer.from('end')])
  const frames = await collect(zstd(cut(content, 700_001), 3))
  expect(frames.length).toBeLessThan(2_600_000)
  const back = await collect(decompress(cut(frames, 10_007), { compression: 'zstd' }))
  expect(back.equals(content)).toBe(true)
})

test('what its source throws is thrown, and a reader may go away early', async () => {
  await expect(collect(zstd(failing(), 1))).rejects.toThrow('no more')
  for await (const frame of zstd(cut(randomBytes(4_000_000), 1_000_000), 1)) {
    expect(frame.length).toBeGreaterThan(0)
    break
  }
})

async function* cut(bytes: Buffer, piece: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece)
}

async function* failing(): AsyncGenerator<Buffer> {
  yield randomBytes(2_000_000)
  throw new Error('no more')
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of source) pieces.push(piece)
  return Buffer.concat(pieces)
}
