import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from '@photostructure/sqlite'
import { afterAll, expect, test } from 'vitest'
import { eventLogOn, openEventLog } from './event-log.ts'
import { openIndexDb } from './open-index-db.ts'

const dir = mkdtempSync(join(tmpdir(), 'cowshed-events-'))
afterAll(() => rmSync(dir, { recursive: true }))

const started = (subject: string) => ({ type: 'shed.started', subject, message: `${subject} started` })

test('events survive a restart and go on counting', () => {
  const path = join(dir, 'restart.db')
  const first = openEventLog(path)
  first.append({ ...started('a'), data: { pid: 7 } })
  first.append(started('b'))
  first.close()
  const second = openEventLog(path)
  second.append(started('c'))
  const events = second.read({ limit: 10 })
  expect(events.map(({ seq, subject }) => [seq, subject])).toEqual([
    [1, 'a'],
    [2, 'b'],
    [3, 'c'],
  ])
  expect(events[0]?.data).toEqual({ pid: 7 })
  second.close()
})

test('a reader gets the newest events after the one that it has', () => {
  const log = openEventLog(':memory:')
  for (const subject of ['a', 'b', 'c', 'd']) log.append(started(subject))
  expect(log.read({ limit: 2 }).map((event) => event.subject)).toEqual(['c', 'd'])
  expect(log.read({ after: 3, limit: 10 }).map((event) => event.subject)).toEqual(['d'])
  log.close()
})

test('subscribers hear events until they stop listening', () => {
  const log = openEventLog(':memory:')
  const heard: string[] = []
  const stop = log.subscribe((event) => heard.push(`${event.seq} ${event.subject}`))
  log.append(started('a'))
  stop()
  log.append(started('b'))
  expect(heard).toEqual(['1 a'])
  log.close()
})

test('an index that is garbage is begun anew', () => {
  const path = join(dir, 'garbage.db')
  writeFileSync(path, 'this was a database once '.repeat(500))
  const log = openEventLog(path)
  log.append(started('a'))
  expect(log.read({ limit: 5 })).toHaveLength(1)
  log.close()
})

test('an index of another shape is begun anew', () => {
  const path = join(dir, 'shape.db')
  const other = new DatabaseSync(path)
  other.exec('CREATE TABLE events (number INTEGER)')
  other.close()
  const log = openEventLog(path)
  log.append(started('a'))
  expect(log.read({ limit: 5 })).toHaveLength(1)
  log.close()
})

test('an index that cannot be opened is left as it is, and events are kept in memory', () => {
  const path = join(dir, 'absent', 'index.db')
  const log = openEventLog(path)
  log.append(started('a'))
  expect(log.read({ limit: 5 }).map(({ type }) => type)).toEqual(['events.unsaved', 'shed.started'])
  log.close()
})

test('an index is mapped by nobody: who writes to what is mapped does not live through a full disk', () => {
  const path = join(dir, 'unmapped.db')
  const log = openEventLog(path)
  log.append(started('a'))
  expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain(path)
  expect(existsSync(`${path}-shm`)).toBe(false)
  log.close()
})

test('what fails in telling of an event does not fail what the event is about', () => {
  const path = join(dir, 'failing.db')
  const first = openEventLog(path)
  first.append(started('a'))
  first.close()
  const opened = openIndexDb(path)
  const log = eventLogOn(opened, path)
  const heard: number[] = []
  log.subscribe((event) => heard.push(event.seq))
  opened.db.exec('ALTER TABLE events RENAME TO away')
  log.append(started('b'))
  opened.db.exec('ALTER TABLE away RENAME TO events')
  log.append(started('c'))
  expect(heard).toEqual([2, 3])
  expect(log.read({ limit: 5 }).map(({ subject }) => subject)).toEqual(['a', 'c'])
  log.close()
  expect(() => log.append(started('d'))).not.toThrow()
})
