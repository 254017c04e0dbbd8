import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { firstLine, killScript, startScript } from '../../../test/support/node-script.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { serverBook } from './server-book.ts'

const record = { url: 'https://127.0.0.1:7443', token: 'a-token' }

test('two that add at once lose nothing', async () => {
  await using dir = await temporaryDirectory()
  const names = ['a', 'b', 'c', 'd']
  await Promise.all(names.map((name) => serverBook(dir.path).put(name, record)))
  expect(await serverBook(dir.path).names()).toEqual(names)
})

test('what a kill left half written, a token perhaps, goes with the next change; what others are writing does not', async () => {
  await using dir = await temporaryDirectory()
  const book = serverBook(dir.path)
  await mkdir(join(dir.path, 'servers'))
  const [left, written] = ['.alpha.json.1.tmp', '.beta.json.2.tmp'].map((name) => join(dir.path, 'servers', name))
  for (const path of [left, written]) await writeFile(path ?? '', 'half a token')
  await utimes(left ?? '', new Date('2020-01-01'), new Date('2020-01-01'))
  await book.put('gamma', record)
  expect((await readdir(join(dir.path, 'servers'))).sort()).toEqual(['.beta.json.2.tmp', 'gamma.json'])
  expect(await book.names()).toEqual(['gamma'])
})

test('kill -9 while a server is added leaves a whole file', async () => {
  await using dir = await temporaryDirectory()
  const child = await startScript(new URL('./put-servers.testkit.ts', import.meta.url), [dir.path])
  await firstLine(child)
  await sleep(20 + Math.random() * 50)
  await killScript(child)
  const book = serverBook(dir.path)
  expect((await book.get('alpha')).token).toMatch(/^(token-\d)\1{1999}$/)
  expect(await book.default()).toBe('alpha')
  expect((await stat(join(dir.path, 'servers/alpha.json'))).mode & 0o777).toBe(0o600)
})
