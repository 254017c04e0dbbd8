import { cp, mkdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, digestOf } from '../../base/index.ts'
import { encodeRecord } from '../../state/index.ts'
import { type KnownRecords, loadAllSheds, loadShed } from './load-shed.ts'
import type { ShedRecord } from './shed-record.ts'

async function shedsOf(...names: string[]) {
  const directory = await temporaryDirectory()
  const layout = dataLayout(directory.path)
  for (const name of names) await makeShed(layout, name)
  return { layout, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() }
}

test('a copy of a shed is not taken for the shed that it was copied from', async () => {
  await using context = await shedsOf('web')
  const { layout } = context
  await cp(layout.shed('web').dir, layout.shed('copy').dir, { recursive: true })
  await expect(loadShed(context, 'copy')).rejects.toMatchObject({
    code: 'SHED_BROKEN',
    message: expect.stringContaining('is the record of web'),
    hint: expect.stringContaining('cowshed delete --force copy'),
  })
  expect((await loadShed(context, 'web')).name).toBe('web')
})

test('a directory without a record is a broken shed; what has no name of a shed is none', async () => {
  await using context = await shedsOf('web')
  const { layout } = context
  await mkdir(layout.shed('empty').dir)
  await mkdir(join(layout.sheds, 'lost+found'))
  await writeFile(join(layout.sheds, 'file'), '')
  await rename(layout.shed('web').dir, join(layout.root, 'elsewhere'))
  await symlink(join(layout.root, 'elsewhere'), layout.shed('web').dir)
  const all = await loadAllSheds(context)
  expect(all.map(({ name, problem }) => [name, problem?.code])).toEqual([
    ['empty', 'RECORD_INVALID'],
    ['web', undefined],
  ])
  await expect(loadShed(context, 'absent')).rejects.toMatchObject({ code: 'SHED_NOT_FOUND' })
})

test('a shed that is removed while all are read is not there, and not broken', async () => {
  const names = Array.from({ length: 100 }, (_, i) => `shed-${i}`)
  await using context = await shedsOf(...names)
  const { layout } = context
  const removing = (async () => {
    for (const name of names) await rename(layout.shed(name).dir, join(layout.root, `gone-${name}`))
  })()
  let all = await loadAllSheds(context)
  while (all.length > 0) {
    expect(all.filter(({ problem }) => problem !== undefined)).toEqual([])
    all = await loadAllSheds(context)
  }
  await removing
  await rm(layout.sheds, { recursive: true })
  expect(await loadAllSheds(context)).toEqual([])
})

test('what is known of a record is believed for as long as its file is as it was', async () => {
  await using context = await shedsOf('web', 'db')
  const { layout } = context
  const known: KnownRecords = new Map()
  const cpus = async () => (await loadAllSheds({ layout, known })).map(({ record }) => record?.cpus)
  expect(await cpus()).toEqual([1, 1])
  // Until then the next write might leave the same times, and nothing is believed.
  await new Promise((resolve) => setTimeout(resolve, 150))
  const [first] = await loadAllSheds({ layout, known })
  expect((await loadAllSheds({ layout, known }))[0]?.record).toBe(first?.record)
  // In its place, with the same length and time of modification.
  const path = layout.shed('web').record
  const { mtime } = await stat(path)
  await writeFile(path, (await readFile(path, 'utf8')).replace('"cpus": 1', '"cpus": 2'))
  await utimes(path, mtime, mtime)
  expect(await cpus()).toEqual([1, 2])
  // Who has just looked is believed: all that they list is of one moment.
  const other = layout.shed('db').record
  const before = await stat(other)
  await writeFile(other, 'torn')
  const seen = (file: string) => (file === other ? before : undefined)
  expect((await loadAllSheds({ layout, known, seen })).map(({ record }) => record?.cpus)).toEqual([1, 2])
  await writeFile(path, 'torn')
  expect((await loadAllSheds({ layout, known }))[1]?.problem?.code).toBe('RECORD_INVALID')
  await rm(layout.shed('db').dir, { recursive: true })
  expect((await loadAllSheds({ layout, known })).map(({ name }) => name)).toEqual(['web'])
  expect(known.has('db')).toBe(false)
})

async function makeShed(layout: DataLayout, name: string): Promise<void> {
  const now = new Date().toISOString()
  const record: ShedRecord = {
    version: 1,
    name,
    id: '0123456789ab',
    machine_id: '0'.repeat(32),
    status: 'stopped',
    image: { ref: 'app', manifest_digest: digestOf('app') },
    cpus: 1,
    memory_bytes: 2 ** 29,
    upper_bytes: 2 ** 30,
    rootfs: 'erofs',
    network: 'user',
    env: {},
    labels: {},
    volumes: [],
    secrets: [],
    defaults: { env: {}, cwd: '', user: '' },
    forwards: [],
    disk_generation: 0,
    created_at: now,
    changed_at: now,
  }
  await mkdir(layout.shed(name).dir, { recursive: true })
  await writeFile(layout.shed(name).record, encodeRecord(record))
}
