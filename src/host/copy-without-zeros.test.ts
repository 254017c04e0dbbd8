import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { allocation } from './allocation.ts'
import { copyWithoutZeros, zeroBlockBytes } from './copy-without-zeros.ts'

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
