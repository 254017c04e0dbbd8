import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { problemCodes } from './problem-codes.ts'

const root = join(import.meta.dirname, '../..')

test('docs/errors.md describes every code with its status and exit code, and no other', () => {
  const rows = [
    ...readFileSync(join(root, 'docs/errors.md'), 'utf8').matchAll(
      /^\| `([A-Z0-9_]+)` \| (\d+) \| (\d+) \| (.+) \|$/gm,
    ),
  ]
  const documented = rows.map(([, code, status, exit]) => [code, { status: Number(status), exit: Number(exit) }])
  expect(Object.fromEntries(documented)).toEqual(problemCodes)
  expect(documented).toHaveLength(Object.keys(problemCodes).length)
})

test('every code is thrown somewhere', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !/\.test(kit)?\.ts$/.test(entry.name))
    .filter((entry) => entry.name !== 'problem-codes.ts')
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n')
  const unused = Object.keys(problemCodes).filter((code) => !sources.includes(`'${code}'`))
  expect(unused).toEqual([])
})
