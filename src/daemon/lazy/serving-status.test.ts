import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type TemporaryDirectory, temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { digestOf, Problem } from '../../base/index.ts'
import { newCounters } from '../../lazy/counters.ts'
import type { OriginState } from '../../lazy/index.ts'
import { readServing, tellStatus } from './serving-status.ts'

let directory: TemporaryDirectory

beforeEach(async () => {
  directory = await temporaryDirectory()
})
afterEach(() => directory[Symbol.asyncDispose]())

/** Of which a test says what it does. */
function served() {
  const counters = newCounters()
  const heat = () => ({ cellBytes: 65_536, here: [100, 0, 0], read: [0, 0, 0], ahead: [100, 0, 0] })
  const lower = {
    bytes: 200_000,
    counters,
    heat,
    hereBytes: () => 65_536,
    leaves: { count: 3, missing: 2 },
    origin: { state: 'unasked' } as OriginState,
  }
  const nbd = { clients: 1, connections: 0, reads: 0, readBytes: 0, errors: 0 }
  return { lower, nbd, directory: directory.path, chunkIndex: digestOf('index'), server: { counters: () => nbd } }
}

const pathOf = (pid: number) => join(directory.path, `status-${pid}.json`)

test('what a process that serves has done is told as soon as it begins, at each change that others wait for, and in the end', async () => {
  const one = served()
  {
    await using status = await tellStatus(one)
    expect(await readServing(directory.path)).toMatchObject([
      { pid: process.pid, isAlive: true, clients: 1, leaves: one.lower.leaves, complete: false, origin: 'unasked' },
    ])
    one.lower.counters.requests = 7
    one.lower.origin = { state: 'degraded', since: new Date(0), problem: new Problem('REGISTRY_UNREACHABLE', 'gone') }
    status.tell()
    await expect
      .poll(() => readServing(directory.path))
      .toMatchObject([{ origin: 'degraded', degraded: { reason: 'gone' }, counts: { requests: 7 } }])
    one.lower.origin = { state: 'gives' }
    one.lower.leaves = { count: 3, missing: 0 }
  }
  const [last] = await readServing(directory.path)
  expect(last).toMatchObject({ origin: 'gives', complete: true })
  expect(last?.degraded).toBeUndefined()
})

test('it is told without being asked for, and only what has changed is written', async () => {
  const one = served()
  await using _status = await tellStatus(one)
  one.nbd.readBytes = 4096
  await expect
    .poll(async () => (await readServing(directory.path))[0]?.counts.read_bytes, { timeout: 30_000 })
    .toBe(4096)
})

test('what those have said who are gone is known to be theirs, until another begins', async () => {
  await using _status = await tellStatus(served())
  const mine = JSON.parse(await readFile(pathOf(process.pid), 'utf8'))
  const child = spawn('true')
  await once(child, 'close')
  const pid = child.pid ?? 0
  await writeFile(pathOf(pid), JSON.stringify({ ...mine, pid, since: new Date().toISOString() }))
  await writeFile(join(directory.path, `.status-${pid}.json.x.tmp`), '{')
  // Its number was given to this process since.
  await writeFile(pathOf(1), JSON.stringify({ ...mine, pid: process.pid, start_time: '1' }))
  const found = await readServing(directory.path)
  expect(found.map(({ isAlive }) => isAlive)).toEqual([true, false, false])
  await using _next = await tellStatus(served())
  expect((await readdir(directory.path)).sort()).toEqual(['status-1.json', `status-${process.pid}.json`])
})

test('what another version says counts as far as it is understood, and what is no status says nothing', async () => {
  await using _status = await tellStatus(served())
  const mine = JSON.parse(await readFile(pathOf(process.pid), 'utf8'))
  await writeFile(pathOf(1), JSON.stringify({ ...mine, counts: { requests: 3, of_tomorrow: 1 } }))
  await writeFile(pathOf(2), '{')
  await writeFile(join(directory.path, 'log'), 'x')
  const found = await readServing(directory.path)
  expect(found.map(({ counts }) => [counts.requests, counts.misses])).toContainEqual([3, 0])
  expect(found).toHaveLength(2)
  expect(await readServing(join(directory.path, 'none'))).toEqual([])
})

test('that it cannot be written is nobody’s harm', async () => {
  const one = served()
  await using status = await tellStatus({ ...one, directory: join(directory.path, 'none') })
  status.tell()
  expect(await readServing(directory.path)).toEqual([])
})
