import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { openLog } from './open-log.ts'

test('a full disk costs lines of the log, and nothing else', () => {
  const fd = openSync('/dev/full', 'w')
  const log = openLog(fd)
  expect(() => {
    for (let line = 0; line < 100; line++) log.info({ line }, 'there is no space for this')
  }).not.toThrow()
  closeSync(fd)
})

test('a line is written at once', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'log')
  const fd = openSync(path, 'a')
  openLog(fd).info({ type: 'x' }, 'said')
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ type: 'x', msg: 'said' })
  closeSync(fd)
})
