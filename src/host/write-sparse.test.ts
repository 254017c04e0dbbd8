import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { writeSparse } from './write-sparse.ts'

test('blocks of zeros are left out, and every byte is where it belongs', async () => {
  await using directory = await temporaryDirectory()
  let files = 0
  const runs = fc.array(fc.tuple(fc.nat(9000), fc.constantFrom(0, 0, 7)), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(fc.nat(9000), runs, async (offset, pieces) => {
      const content = Buffer.concat(pieces.map(([bytes, fill]) => Buffer.alloc(bytes, fill)))
      const path = join(directory.path, `${files++}`)
      await using file = await open(path, 'wx')
      await file.truncate(offset + content.length)
      await writeSparse(file, content, offset)
      expect((await readFile(path)).equals(Buffer.concat([Buffer.alloc(offset), content]))).toBe(true)
    }),
  )
  const path = join(directory.path, 'sparse')
  await using file = await open(path, 'wx')
  await file.truncate(1 << 20)
  // It begins within a block and ends within one.
  await writeSparse(file, Buffer.concat([Buffer.alloc(100, 1), Buffer.alloc(900_000), Buffer.alloc(100, 1)]), 1000)
  expect((await stat(path)).blocks * 512).toBeLessThanOrEqual(16 * 1024)
})
