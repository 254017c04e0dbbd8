import { createReadStream } from 'node:fs'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { allocation } from './allocation.ts'
import { compressWithoutZeros } from './compress-without-zeros.ts'
import { copyWithoutZeros } from './copy-without-zeros.ts'
import { zeroBlockBytes } from './data-pieces.ts'
import { decompress } from './decompress.ts'
import { inflateWithoutZeros } from './inflate-without-zeros.ts'

const blocks = fc.array(fc.constantFrom('hole', 'zeros', 'data', 'last byte'), { maxLength: 40 })

test('a copy has the same bytes, and its checksum tells what is in it but not where holes are', async () => {
  await using directory = await temporaryDirectory()
  let number = 0
  await fc.assert(
    fc.asyncProperty(blocks, fc.nat(zeroBlockBytes - 1), async (kinds, tail) => {
      const path = (name: string) => join(directory.path, `${name}-${number}`)
      number++
      const bytes = await write(path('from'), kinds, tail)
      await writeFile(path('to'), '')
      const copied = await copyWithoutZeros({ from: path('from'), to: path('to') })
      expect((await readFile(path('to'))).equals(bytes)).toBe(true)
      expect(await copyWithoutZeros({ from: path('to') })).toEqual(copied)
      // Without any hole.
      await writeFile(path('dense'), bytes)
      expect(await copyWithoutZeros({ from: path('dense') })).toEqual(copied)
      expect(await compressWithoutZeros({ from: path('dense'), to: path('zst'), level: 1 })).toEqual(copied)
      await writeFile(path('again'), '')
      const inflated = await inflateWithoutZeros({ from: path('zst'), to: path('again'), bytes: bytes.length })
      expect(inflated).toEqual(copied)
      expect((await readFile(path('again'))).equals(bytes)).toBe(true)
      expect((await allocation(path('again'))).physicalBytes).toBe((await allocation(path('to'))).physicalBytes)
      if (bytes.length === 0) return
      const at = (tail * 7919) % bytes.length
      bytes[at] = (bytes[at] ?? 0) ^ 1
      await writeFile(path('other'), bytes)
      expect((await copyWithoutZeros({ from: path('other') })).sha256).not.toBe(copied.sha256)
    }),
    { numRuns: 40 },
  )
})

test('zeros that were written are not in the copy, and one that has no space says so', async () => {
  await using directory = await temporaryDirectory()
  const [from, to] = [join(directory.path, 'from'), join(directory.path, 'to')]
  await write(from, Array(64).fill('zeros'), 0)
  await writeFile(to, '')
  expect(await copyWithoutZeros({ from, to })).toMatchObject({ dataBytes: 0 })
  expect(await allocation(to)).toEqual({ logicalBytes: 64 * zeroBlockBytes, physicalBytes: 0 })
  await expect(copyWithoutZeros({ from, to: join(directory.path, 'nowhere') })).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
  })
  expect((await stat(from)).size).toBe(64 * zeroBlockBytes)
})

test('what is compressed is a zstd stream; any damage to it is an error or another checksum, and nothing is written beyond its size', async () => {
  await using directory = await temporaryDirectory()
  const [from, zst, damaged, to] = ['from', 'zst', 'damaged', 'to'].map((name) => join(directory.path, name))
  if (from === undefined || zst === undefined || damaged === undefined || to === undefined) throw new Error('four')
  const bytes = await write(from, ['data', 'hole', 'data', 'zeros', 'last byte', ...Array(40).fill('data')], 100)
  const { sha256 } = await compressWithoutZeros({ from, to: zst, level: 1 })
  expect((await stat(zst)).mode & 0o777).toBe(0o600)
  const frames = await readFile(zst)
  let plainBytes = 0
  for await (const piece of decompress(createReadStream(zst), { compression: 'zstd' })) plainBytes += piece.length
  expect(plainBytes).toBe(43 * zeroBlockBytes)
  const isFound = async (content: Buffer) => {
    await writeFile(damaged, content)
    await writeFile(to, '')
    const found = await inflateWithoutZeros({ from: damaged, to, bytes: bytes.length }).catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'COMPRESSION_INVALID' })
    })
    expect((await stat(to)).size).toBe(bytes.length)
    return found?.sha256 !== sha256
  }
  expect(await isFound(frames)).toBe(false)
  expect(await isFound(Buffer.alloc(frames.length))).toBe(true)
  expect(await isFound(Buffer.concat([frames, Buffer.alloc(7)]))).toBe(true)
  expect(await isFound(Buffer.concat([frames, frames]))).toBe(true)
  for (let length = 0; length < frames.length; length += Math.ceil(frames.length / 50)) {
    expect(await isFound(frames.subarray(0, length)), `cut to ${length}`).toBe(true)
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(frames.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flipped) => {
      const other = Buffer.from(frames)
      other[at] = (other[at] ?? 0) ^ flipped
      // Where zstd looks at no bit, what comes out is what went in: both are right.
      return (await isFound(other)) || (await readFile(to)).equals(bytes)
    }),
    { numRuns: 100 },
  )
})

/** @returns what is in the file */
async function write(path: string, kinds: readonly string[], tail: number): Promise<Buffer> {
  const bytes = Buffer.alloc(kinds.length * zeroBlockBytes + tail)
  await using file = await open(path, 'w')
  await file.truncate(bytes.length)
  for (const [at, kind] of kinds.entries()) {
    const block = bytes.subarray(at * zeroBlockBytes, (at + 1) * zeroBlockBytes)
    if (kind === 'data') block.fill(`block ${at}`)
    if (kind === 'last byte') block[zeroBlockBytes - 1] = 1
    if (kind !== 'hole') await file.write(block, 0, block.length, at * zeroBlockBytes)
  }
  return bytes
}
