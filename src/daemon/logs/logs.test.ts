import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { followFile } from './follow-file.ts'
import { tailStart } from './tail-start.ts'

const directory = mkdtempSync(join(tmpdir(), 'cowshed-logs-'))
afterAll(() => rmSync(directory, { recursive: true }))

let count = 0
const fresh = (content = '') => {
  const path = join(directory, `log-${count++}`)
  writeFileSync(path, content)
  return path
}

/** Follows a file and keeps what comes. */
function follow(path: string, from = 0) {
  const stop = new AbortController()
  const got = { text: '', ended: false }
  const done = (async () => {
    for await (const chunk of followFile(path, { from, follow: true, signal: stop.signal }))
      got.text += chunk.toString()
    got.ended = true
  })()
  return {
    got,
    async stop() {
      stop.abort()
      await done
    },
  }
}

describe('following', () => {
  test('gives what is there, then what comes', async () => {
    const path = fresh('one\n')
    const { got, stop } = follow(path)
    await expect.poll(() => got.text).toBe('one\n')
    appendFileSync(path, 'two\n')
    await expect.poll(() => got.text).toBe('one\ntwo\n')
    await stop()
  })

  test('a truncation that keeps the last bytes repeats nothing and loses nothing', async () => {
    const old = Array.from({ length: 200 }, (_, line) => `line ${line}\n`).join('')
    const path = fresh(old)
    const { got, stop } = follow(path)
    await expect.poll(() => got.text).toBe(old)
    // As prune does it: in place, the last bytes at the beginning, then the writer goes on.
    writeFileSync(path, old.slice(-500))
    appendFileSync(path, 'after\n')
    await expect.poll(() => got.text).toBe(`${old}after\n`)
    appendFileSync(path, 'and on\n')
    await expect.poll(() => got.text).toBe(`${old}after\nand on\n`)
    await stop()
  })

  test('a truncation to nothing goes on with what is written then', async () => {
    const path = fresh('old content\n')
    const { got, stop } = follow(path)
    await expect.poll(() => got.text).toBe('old content\n')
    truncateSync(path, 0)
    appendFileSync(path, 'new\n')
    await expect.poll(() => got.text).toBe('old content\nnew\n')
    await stop()
  })

  test('a file that grew past the place again after a truncation is noticed', async () => {
    const path = fresh('short\n')
    const { got, stop } = follow(path)
    await expect.poll(() => got.text).toBe('short\n')
    const later = 'something altogether different and longer\n'
    writeFileSync(path, later)
    await expect.poll(() => got.text).toBe(`short\n${later}`)
    await stop()
  })

  test('ends when the file is removed, and for one that is absent', async () => {
    const path = fresh('x')
    const { got } = follow(path)
    await expect.poll(() => got.text).toBe('x')
    rmSync(path)
    await expect.poll(() => got.ended).toBe(true)
    const { got: none } = follow(join(directory, 'absent'))
    await expect.poll(() => none.ended).toBe(true)
  })
})

test('the last lines begin where the lines say', async () => {
  const texts = fc.array(fc.constantFrom('a', 'bb', '', 'c'.repeat(70_000)), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(texts, fc.boolean(), fc.nat({ max: 10 }), async (lines, isEnded, wanted) => {
      const content = lines.join('\n') + (isEnded && lines.length > 0 ? '\n' : '')
      const path = fresh(content)
      const all = content.match(/[^\n]*\n|[^\n]+$/g) ?? []
      const expected = wanted === 0 ? '' : all.slice(-wanted).join('')
      expect(readFileSync(path, 'latin1').slice(await tailStart(path, wanted))).toBe(expected)
      rmSync(path)
    }),
    { numRuns: 60 },
  )
})
