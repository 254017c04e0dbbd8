import { lstatSync, mkdirSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { fileLook } from './file-look.ts'

test('a look sees what lstat sees, to the last digit', async () => {
  await using directory = await temporaryDirectory()
  const path = (name: string) => join(directory.path, name)
  mkdirSync(path('directory'))
  writeFileSync(path('file'), 'x')
  writeFileSync(path('large'), '')
  truncateSync(path('large'), 5 * 2 ** 40)
  writeFileSync(path('old'), '')
  utimesSync(path('old'), -1.5, -86_400.25)
  symlinkSync('nowhere', path('link'))
  const look = fileLook()
  const all = ['.', 'directory', 'file', 'large', 'old', 'link'].map(path)
  for (const one of all) {
    const { dev, ino, size, blocks, nlink, mtimeMs, ctimeMs, ...stats } = lstatSync(one)
    const seen = { dev, ino, size, blocks, nlink, mtimeMs, ctimeMs }
    expect(look.at(one)).toBe(true)
    expect([one, look.seen(), look.isAsSeen(seen)]).toEqual([one, seen, true])
    const type = stats.mode & 0o170000
    expect([look.isFile(), look.isDirectory()]).toEqual([type === 0o100000, type === 0o040000])
  }
})

test('anything else than it was shows', async () => {
  const look = fileLook()
  expect(look.at(import.meta.filename)).toBe(true)
  const seen = look.seen()
  expect(look.isAsSeen(seen)).toBe(true)
  for (const [key, value] of Object.entries(seen)) expect(look.isAsSeen({ ...seen, [key]: value + 1 })).toBe(false)
})

test('what is not there is not there, and what cannot be looked at is named', () => {
  const look = fileLook()
  expect(look.at(join(import.meta.dirname, 'nobody'))).toBe(false)
  expect(look.at(join(import.meta.filename, 'below-a-file'))).toBe(false)
  const tooLong = `/${'x'.repeat(300)}`
  expect(() => look.at(tooLong)).toThrow(
    expect.objectContaining({ code: 'IO_FAILED', message: expect.stringContaining(tooLong) }),
  )
})
