import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { onEachFilesystem } from '../../test/support/filesystems.ts'
import { runScript } from '../../test/support/node-script.ts'
import { processStartTime, whileStopped } from '../host/index.ts'
import { truncateLog } from './truncate-log.ts'

const killedTruncate = new URL('./killed-truncate.testkit.ts', import.meta.url)

/** Of a log that nobody writes to. */
const whileAtRest = async (work: () => void) => work()

const dir = mkdtempSync(join(tmpdir(), 'cowshed-log-'))
afterAll(() => rmSync(dir, { recursive: true }))

test('the last bytes are kept, and an appender goes on behind them', async () => {
  const path = join(dir, 'log')
  writeFileSync(path, `${'old\n'.repeat(1_000_000)}the end\n`)
  const { ino } = statSync(path)
  await truncateLog(path, { keepBytes: 8, whileAtRest })
  appendFileSync(path, 'more\n')
  const text = readFileSync(path, 'utf8')
  expect(text.endsWith('old\nthe end\nmore\n') || text === 'the end\nmore\n').toBe(true)
  expect(text.length).toBeLessThan(13 + 4096)
  expect(statSync(path).ino).toBe(ino)
})

test.each([0, 3, 4])('keeping %d of 3 bytes', async (keep) => {
  const path = join(dir, `short-${keep}`)
  writeFileSync(path, 'abc')
  await truncateLog(path, { keepBytes: keep, whileAtRest })
  expect(readFileSync(path, 'utf8')).toBe(keep === 0 ? '' : 'abc')
})

onEachFilesystem(['btrfs', 'xfs', 'ext4'], (fs) => {
  const cutsAtOnce = fs.name !== 'btrfs'

  test('a program that writes all the time loses nothing behind a cut, and leaves no hole of zeros', async () => {
    const path = fs.path('busy')
    writeFileSync(path, 'old\n'.repeat(10_000))
    const last = 30_000
    const writer = spawn('sh', [
      '-c',
      `i=0; while [ $i -le ${last} ]; do echo "line $i" >&3; i=$((i+1)); done 3>>"${path}"`,
    ])
    const ended = once(writer, 'exit')
    const writing = { pid: writer.pid ?? 0, startTime: processStartTime(writer.pid ?? 0) ?? '' }
    const hold = async (work: () => void) => expect(await whileStopped(writing, () => work() === undefined)).toBe(true)
    let cuts = 0
    while (writer.exitCode === null) {
      if (statSync(path).size > 9_000 + 4096) cuts++
      await truncateLog(path, { keepBytes: 9_000, whileAtRest: hold })
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    await ended
    const text = readFileSync(path, 'latin1')
    expect(text).not.toContain('\0')
    const numbers = [...text.matchAll(/^line (\d+)$/gm)].map(([, number]) => Number(number))
    expect(numbers.at(-1)).toBe(last)
    const gaps = numbers.filter((number, at) => at > 0 && number !== (numbers[at - 1] ?? 0) + 1)
    expect(cuts).toBeGreaterThan(0)
    expect(gaps).toEqual([])
  })

  // On xfs it is done as on ext4.
  if (fs.name === 'xfs') return
  test('killed before any of its steps, no line that was to stay is gone, and the next cut is a clean one', async () => {
    const lines = Array.from({ length: 20_000 }, (_, at) => `line ${at} ${'x'.repeat(100)}\n`)
    const whole = lines.join('')
    const keep = whole.length - 600_000
    const tail = whole.slice(-keep)
    const wanted = tail.split('\n').slice(1, -1)
    const path = fs.path('killed')
    for (let n = 0; ; n++) {
      writeFileSync(path, whole)
      const { code, signal } = await runScript(killedTruncate, [`${n}`, path, `${keep}`])
      const text = readFileSync(path, 'latin1')
      const has = new Set(text.split('\n'))
      expect(wanted.filter((line) => !has.has(line))).toEqual([])
      expect([text.includes('\0'), text.endsWith(`${lines.at(-1)}`)]).toEqual([false, true])
      if (code === 0) {
        // One call of the kernel where it cuts at once: there is no step to be killed before.
        expect(n).toBe(cutsAtOnce ? 0 : 3)
        expect(text.endsWith(tail)).toBe(true)
        expect(text.length - keep).toBeLessThan(cutsAtOnce ? 4096 : 1)
        break
      }
      expect(signal).toBe('SIGKILL')
    }
  })
})

test('a log that is not there is a problem that names it', async () => {
  const path = join(dir, 'absent')
  await expect(truncateLog(path, { keepBytes: 1, whileAtRest })).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: expect.stringContaining(path),
  })
})
