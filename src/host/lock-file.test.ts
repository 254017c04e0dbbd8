import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { isLocked, lockFile } from './index.ts'

test('one exclusive holder, or many that share', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'lock')
  expect(await isLocked(path)).toBe(false)
  {
    using held = await lockFile(path, { mode: 'exclusive' })
    expect(held).toBeDefined()
    expect(await lockFile(path, { mode: 'exclusive' })).toBeUndefined()
    expect(await lockFile(path, { mode: 'shared' })).toBeUndefined()
    expect(await isLocked(path)).toBe(true)
  }
  expect(await isLocked(path)).toBe(false)
  {
    using one = await lockFile(path, { mode: 'shared' })
    using two = await lockFile(path, { mode: 'shared' })
    expect([one, two]).not.toContain(undefined)
    expect(await lockFile(path, { mode: 'exclusive' })).toBeUndefined()
    expect(await isLocked(path)).toBe(true)
  }
  expect((await stat(path)).size).toBe(0)
})

test('a child that was started meanwhile and has the file keeps nobody waiting, unless the lock is left to it', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'lock')
  for (const leftToChildren of [false, true]) {
    const held = await lockFile(path, { mode: 'exclusive', wait: true, leftToChildren })
    const child = spawn('sleep', ['100'], { stdio: ['ignore', 'ignore', 'ignore', held.fd] })
    held.release()
    expect(await isLocked(path)).toBe(leftToChildren)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await isLocked(path)).toBe(false)
  }
})

test('a waiter gets the lock when it is released, in its turn', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'lock')
  const order: string[] = []
  const first = await lockFile(path, { mode: 'exclusive', wait: true })
  const waiting = lockFile(path, { mode: 'exclusive', wait: true }).then((lock) => {
    order.push('got it')
    lock.release()
  })
  await new Promise((resolve) => setTimeout(resolve, 30))
  order.push('released')
  first.release()
  first.release()
  await waiting
  expect(order).toEqual(['released', 'got it'])
})

test('of many who wait, one at a time holds it', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'lock')
  let [inside, most, turns] = [0, 0, 0]
  const turn = async () => {
    using _ = await lockFile(path, { mode: 'exclusive', wait: true })
    most = Math.max(most, ++inside)
    await new Promise((resolve) => setTimeout(resolve, 1))
    inside--
    turns++
  }
  await Promise.all(Array.from({ length: 20 }, turn))
  expect([most, turns]).toEqual([1, 20])
})

test('a wait can be cancelled, and then holds nothing', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'lock')
  const held = await lockFile(path, { mode: 'exclusive', wait: true })
  const abort = new AbortController()
  const waiting = lockFile(path, { mode: 'shared', wait: true, signal: abort.signal })
  abort.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })
  held.release()
  expect(await isLocked(path)).toBe(false)
})

test('a lock on a file whose directory was removed and made again is worth nothing', async () => {
  await using dir = await temporaryDirectory()
  const shed = join(dir.path, 'shed')
  await mkdir(shed)
  using old = await lockFile(join(shed, 'lock'), { mode: 'exclusive' })
  expect(old).toBeDefined()
  await rm(shed, { recursive: true })
  await mkdir(shed)
  using fresh = await lockFile(join(shed, 'lock'), { mode: 'exclusive' })
  expect(fresh).toBeDefined()
})

test('no directory, no lock', async () => {
  await using dir = await temporaryDirectory()
  const attempt = lockFile(join(dir.path, 'absent', 'lock'), { mode: 'exclusive' })
  await expect(attempt).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
})
