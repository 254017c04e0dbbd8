import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readSmallFile } from './read-small-file.ts'

let directory = ''
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cowshed-test-'))
})
afterAll(() => rm(directory, { recursive: true, force: true }))

test.each([0, 1, 65_536, 65_537, 1_000_000])('reads all %i bytes', async (length) => {
  const path = join(directory, `file-${length}`)
  const content = randomBytes(length)
  await writeFile(path, content)
  expect(content.equals(await readSmallFile(path, { maxBytes: 1_000_000 }))).toBe(true)
})

test.each([100, 200_000])('shows that there are more than %i bytes, and reads no more', async (maxBytes) => {
  const path = join(directory, `long-${maxBytes}`)
  await writeFile(path, randomBytes(maxBytes + 5))
  expect(await readSmallFile(path, { maxBytes })).toHaveLength(maxBytes + 1)
})

test('what is not there or no file is a system error', async () => {
  await expect(readSmallFile(join(directory, 'none'), { maxBytes: 10 })).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(readSmallFile(directory, { maxBytes: 10 })).rejects.toMatchObject({ code: 'EISDIR' })
})
