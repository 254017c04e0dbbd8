import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { type DataLayout, dataLayout, digestOf } from '../base/index.ts'
import { openStaging } from '../host/index.ts'
import { fileFinder } from './find-files.ts'
import { filesInWork, type Holdings, takeStock } from './inventory.ts'

test('what is being made is the daemon’s own, however long it takes; what a crash left is an orphan', async () => {
  await using directory = await temporaryDirectory()
  const layout = dataLayout(directory.path)
  const longAgo = new Date('2020-01-01')
  const left = join(layout.staging, 'load-before')
  await mkdir(left, { recursive: true })
  await using working = await openStaging(layout, 'load')
  const [making, forgotten] = [join(working.path, 'blob'), join(left, 'blob')]
  for (const path of [making, forgotten]) {
    await writeFile(path, 'half of it')
    await utimes(path, longAgo, longAgo)
  }
  const inventory = await stockOf(layout, () => false)
  expect(inventory.own.map(({ path }) => path)).toEqual([making])
  expect(inventory.orphans.map(({ path, why }) => [path, why])).toEqual([[forgotten, 'left in staging']])
})

test('a blob that is being downloaded is in flight; what a download left is an orphan, and any other file there nobody’s', async () => {
  await using directory = await temporaryDirectory()
  const layout = dataLayout(directory.path)
  await mkdir(layout.downloads)
  const [coming, left] = [digestOf('coming'), digestOf('left')]
  const other = join(layout.downloads, 'notes.txt')
  for (const path of [layout.partialBlob(coming), layout.partialBlob(left), other]) await writeFile(path, 'half of it')
  const isInFlight = (digest: string) => digest === coming
  const { downloads, orphans, foreign } = await stockOf(layout, isInFlight)
  expect(downloads.map(({ path }) => path)).toEqual([layout.partialBlob(coming)])
  expect(orphans.map(({ path, why }) => [path, why])).toEqual([[layout.partialBlob(left), 'left of a download']])
  expect(foreign.map(({ path }) => path)).toEqual([other])
})

async function stockOf(layout: DataLayout, isInFlight: (digest: string) => boolean): Promise<Holdings> {
  const files = await fileFinder(layout.root).find()
  const inWork = filesInWork(layout, files.keys(), isInFlight)
  return takeStock({ layout, files, images: [], sheds: [], snapshots: [], volumes: [], inWork })
}
