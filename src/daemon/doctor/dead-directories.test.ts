import { lstatSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { runDirectoryName } from '../run-directory.ts'
import { deadDirectories } from './dead-directories.ts'

const parent = realpathSync(mkdtempSync(join(tmpdir(), 'cs-run-')))
afterAll(() => rmSync(parent, { recursive: true }))

function runDirectory(name: string): string {
  const path = join(parent, name)
  mkdirSync(path)
  return path
}

/** Somebody who listens on a socket, until the end of the block. */
async function listening(path: string): Promise<AsyncDisposable> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) }
}

test('only directories that nobody has anything to do with are dead', async () => {
  const own = runDirectory('0000000000')
  const dead = runDirectory('1111111111')
  const withVm = runDirectory('2222222222')
  const root = join(parent, 'data')
  mkdirSync(root)
  runDirectory(runDirectoryName({ root }))
  runDirectory('something-else')
  await using _vm = await listening(join(withVm, 'qmp.sock'))
  await using _daemon = await listening(join(root, 'daemon.sock'))

  expect(await deadDirectories(own)).toEqual([])
  const deadRam = runDirectory('cowshed-1111111111')
  runDirectory('cowshed-2222222222')
  const inTwoHours = lstatSync(dead).ctimeMs + 2 * 3600e3
  expect(await deadDirectories(own, { now: inTwoHours })).toEqual([dead])
  expect(await deadDirectories(join(parent, 'cowshed-0000000000'), { now: inTwoHours })).toEqual([deadRam])
})
