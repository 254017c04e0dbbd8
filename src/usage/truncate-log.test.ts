import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { truncateLog } from './truncate-log.ts'

const dir = mkdtempSync(join(tmpdir(), 'cowshed-log-'))
afterAll(() => rmSync(dir, { recursive: true }))

test('the last bytes are kept, and an appender goes on behind them', async () => {
  const path = join(dir, 'log')
  writeFileSync(path, `${'old\n'.repeat(1_000_000)}the end\n`)
  const { ino } = statSync(path)
  await truncateLog(path, 8)
  appendFileSync(path, 'more\n')
  expect(readFileSync(path, 'utf8')).toBe('the end\nmore\n')
  expect(statSync(path).ino).toBe(ino)
})

test.each([0, 3, 4])('keeping %d of 3 bytes', async (keep) => {
  const path = join(dir, `short-${keep}`)
  writeFileSync(path, 'abc')
  await truncateLog(path, keep)
  expect(readFileSync(path, 'utf8')).toBe(keep === 0 ? '' : 'abc')
})

test('a program that writes all the time leaves no hole of zeros', async () => {
  const path = join(dir, 'busy')
  writeFileSync(path, '')
  const writer = spawn('sh', [
    '-c',
    `i=0; while [ $i -lt 20000 ]; do echo "line $i" >&3; i=$((i+1)); done 3>>"${path}"`,
  ])
  const ended = once(writer, 'exit')
  for (let round = 0; round < 20; round++) {
    await truncateLog(path, 2_000)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await ended
  const text = readFileSync(path, 'latin1')
  expect(text).not.toContain('\0')
  expect(text.endsWith('line 19999\n')).toBe(true)
})

test('a log that is not there is a problem that names it', async () => {
  const path = join(dir, 'absent')
  await expect(truncateLog(path, 1)).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: expect.stringContaining(path),
  })
})
