import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { lockRange, unlockRange } from './index.ts'

const far = 2 ** 40

test('a range has one holder, who may free some of it; who is refused learns where the other begins', async () => {
  await using dir = await temporaryDirectory()
  await using one = await open(join(dir.path, 'data'), 'w+')
  const two = await open(join(dir.path, 'data'), 'r+')
  expect(lockRange(one.fd, { offset: far + 4, length: 8 })).toBeUndefined()
  expect(lockRange(one.fd, { offset: far + 4, length: 8 })).toBeUndefined()
  expect(lockRange(two.fd, { offset: far, length: 10 })).toEqual({ offset: far + 4, length: 8 })
  expect(lockRange(two.fd, { offset: far, length: 4 })).toBeUndefined()
  unlockRange(one.fd, { offset: far + 4, length: 2 })
  expect(lockRange(two.fd, { offset: far + 7, length: 1 })).toEqual({ offset: far + 6, length: 6 })
  await two.close()
  expect(lockRange(one.fd, { offset: far, length: 4 })).toBeUndefined()
  expect((await one.stat()).size).toBe(0)
})

test('a child that was started meanwhile does not keep what was freed', async () => {
  await using dir = await temporaryDirectory()
  await using one = await open(join(dir.path, 'data'), 'w+')
  await using two = await open(join(dir.path, 'data'), 'r+')
  lockRange(one.fd, { offset: 0, length: 1 })
  const child = spawn('sleep', ['100'], { stdio: ['ignore', 'ignore', 'ignore', one.fd] })
  unlockRange(one.fd, { offset: 0, length: 1 })
  expect(lockRange(two.fd, { offset: 0, length: 1 })).toBeUndefined()
  child.kill('SIGKILL')
  await once(child, 'exit')
})
