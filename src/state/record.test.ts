import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { z } from 'zod'
import { readRecord, stageRecord, writeRecord } from './record.ts'

const dir = mkdtempSync(join(tmpdir(), 'cowshed-record-'))
afterAll(() => rmSync(dir, { recursive: true }))
const schema = z.object({ name: z.string(), size: z.int() })

test('a record comes back as it was written, and can be read by a person', async () => {
  const path = join(dir, 'good.json')
  await writeRecord(path, { name: 'a', size: 3 })
  expect(await readRecord(path, schema)).toEqual({ name: 'a', size: 3 })
  expect(readFileSync(path, 'utf8')).toBe('{\n  "name": "a",\n  "size": 3\n}\n')
})

test('a record that cannot be staged is told of as what cannot be written', async () => {
  const path = join(dir, 'nowhere', 'staged.json')
  await expect(stageRecord(path, {})).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
    message: expect.stringContaining('staged.json'),
  })
})

test('no file is no record', async () => {
  expect(await readRecord(join(dir, 'absent.json'), schema)).toBeUndefined()
})

test.each([
  ['empty', '', 'it is empty'],
  ['torn', '{"name": "a", "si', 'it is not JSON'],
  ['zeroed', '\0\0\0\0', 'it is not JSON'],
  ['of another shape', '{"name": "a", "size": "big"}', 'size: '],
])('a record that is %s is named, with what is wrong', async (kind, text, why) => {
  const path = join(dir, `${kind}.json`)
  writeFileSync(path, text)
  await expect(readRecord(path, schema)).rejects.toMatchObject({
    code: 'RECORD_INVALID',
    message: expect.stringContaining(why),
    data: { path },
  })
})
