import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { readLines } from './read-lines.ts'

async function linesOf(...chunks: (string | Buffer)[]) {
  const pipe = new PassThrough()
  const lines: string[] = []
  const kept = readLines(pipe, (line) => lines.push(line))
  for (const chunk of chunks) pipe.write(chunk)
  pipe.end()
  await once(pipe, 'end')
  return { lines, kept: Buffer.concat(kept) }
}

test('lines come whole, however they are cut, and the last one without a line break too', async () => {
  const cow = Buffer.from('a 🐄\nb\r\nc\rd')
  const { lines, kept } = await linesOf(...Array.from(cow, (byte) => Buffer.from([byte])))
  expect(lines).toEqual(['a 🐄', 'b', 'c', 'd'])
  expect(kept).toEqual(cow)
})

test('a line without an end is told in pieces, and of a long output only the end is kept', async () => {
  const piece = 'x'.repeat(1 << 20)
  const { lines, kept } = await linesOf(piece, piece, 'the end')
  expect(lines.join('')).toBe(`${piece}${piece}the end`)
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(8192)
  expect(kept.length).toBeLessThan(2 << 20)
  expect(kept.toString()).toMatch(/xthe end$/)
})
