import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { allocation } from './allocation.ts'
import { copyDirect } from './copy-direct.ts'

const MiB = 2 ** 20

/** 21 MiB: data, a hole of 8 MiB, data whose last piece is a single block. */
async function sparseSource(path: string): Promise<Buffer> {
  const content = Buffer.alloc(21 * MiB + 4096)
  for (let at = 0; at < 5 * MiB; at += 4) content.writeUInt32LE(at, at)
  for (let at = 13 * MiB; at < content.length; at += 4) content.writeUInt32LE(at, at)
  await writeFile(path, content.subarray(0, 5 * MiB))
  await truncate(path, 13 * MiB)
  await writeFile(path, content.subarray(13 * MiB), { flag: 'a' })
  return content
}

test('a large range arrives whole, at its place, with its hole', async () => {
  await using dir = await temporaryDirectory()
  const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')]
  const content = await sparseSource(from)
  await writeFile(to, 'head')
  await truncate(to, 8192 + content.length)

  const done = await copyDirect({ from, fromOffset: 4096, to, toOffset: 8192, length: content.length - 4096 })

  const copied = await readFile(to)
  if (!done) return // tmpfs of an old kernel: nothing goes around the page cache there
  expect(copied.subarray(8192, 8192 + content.length - 4096).equals(content.subarray(4096))).toBe(true)
  expect(copied.subarray(0, 4).toString()).toBe('head')
  expect((await allocation(to)).physicalBytes).toBeLessThan(15 * MiB)
})

test('a range that is small or does not lie on blocks is left to others', async () => {
  await using dir = await temporaryDirectory()
  const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')]
  await sparseSource(from)
  await writeFile(to, '')
  const whole = { from, fromOffset: 0, to, toOffset: 0, length: 16 * MiB }
  expect(await copyDirect({ ...whole, length: 4096 })).toBe(false)
  expect(await copyDirect({ ...whole, fromOffset: 512 })).toBe(false)
  expect(await copyDirect({ ...whole, toOffset: 1 })).toBe(false)
  expect(await copyDirect({ ...whole, length: 16 * MiB + 1 })).toBe(false)
  expect(await readFile(to)).toEqual(Buffer.alloc(0))
})

test('a source that is gone is an error, not a copy', async () => {
  await using dir = await temporaryDirectory()
  const to = join(dir.path, 'to')
  await writeFile(to, '')
  const copy = copyDirect({ from: join(dir.path, 'from'), fromOffset: 0, to, toOffset: 0, length: 16 * MiB })
  await expect(copy).rejects.toMatchObject({ code: 'ENOENT' })
})
