import { open, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { dataLayout } from '../../base/index.ts'
import { backUp } from '../back-up.ts'
import { type Host, makeHost, restoreTo, writeChunks } from '../backups.testkit.ts'
import { chunkBytes } from '../format/chunk.ts'
import { pruneBackups, removeBackup } from '../prune-backups.ts'
import type { Backup } from '../repository/backups.ts'
import { verifyBackups } from '../verify-backups.ts'
import { fileIdentity } from './file-identity.ts'
import { openKnownSources } from './known-sources.ts'

let host: Host
beforeAll(async () => {
  host = await makeHost()
  await writeChunks(host.path('disk'), [1, undefined, 3, 4], 77)
  await atRest()
})
afterAll(() => host[Symbol.asyncDispose]())

test('a file that is as it was is not read, and comes back', async () => {
  const first = await make('a')
  expect(first.wasRead).toBe(true)
  const second = await make('a')
  expect(second.wasRead).toBe(false)
  expect(second.backup.manifest.files).toEqual(first.backup.manifest.files)
  expect(second.backup.manifest.added_bytes).toBe(0)
  // It needs nothing of the first one but its chunks.
  const repository = await host.repository()
  await removeBackup(repository, first.backup.id)
  await pruneBackups({ repository })
  const directory = await restoreTo(host, repository, second.backup.id, 'restored')
  expect((await readFile(join(directory, 'disk'))).equals(await readFile(host.path('disk')))).toBe(true)
  // The same in another repository, or of something else, is another thing.
  expect((await make('b')).wasRead).toBe(true)
})

test.each([
  ['the last backup is gone', async () => await removeBackup(await host.repository(), (await make('c')).backup.id)],
  ['it was made in another boot of the host', () => changeKnown((text) => text.replace(/"boot": "./, '"boot": "x'))],
  ['what is known of it is damaged', () => changeKnown((text) => text.slice(5))],
  ['the repository has lost a pack', loseOnePack],
])('it is read when %s', async (_, lose) => {
  await make('c')
  await lose()
  const { wasRead, backup } = await make('c')
  expect(wasRead).toBe(true)
  const verified = await verifyBackups({ repository: await host.repository(), backup: backup.id })
  expect(verified).toMatchObject({ intact: [backup.id], damaged: [] })
  expect((await make('c')).wasRead).toBe(false)
})

test('it is read when it was written to, even by somebody who sets its times back', async () => {
  await make('d')
  const { atime, mtime } = await stat(host.path('disk'))
  {
    await using file = await open(host.path('disk'), 'r+')
    await file.write('other', 2 * chunkBytes)
  }
  await utimes(host.path('disk'), atime, mtime)
  expect((await make('d')).wasRead).toBe(true)
  await atRest()
  const repository = await host.repository()
  const { backup } = await make('d')
  const directory = await restoreTo(host, repository, backup.id, 'restored-d')
  expect((await readFile(join(directory, 'disk'))).equals(await readFile(host.path('disk')))).toBe(true)
})

test('one that is kept in another form is not read as long as that is as it was, and is when it is gone', async () => {
  await writeFile(host.path('other'), 'the same, compressed')
  await atRest('other')
  const first = await make('e', 'other')
  expect([first.wasRead, (await make('e', 'other')).wasRead]).toEqual([true, false])
  await rm(host.path('other'))
  const { wasRead, backup } = await make('e', 'other')
  expect(wasRead).toBe(true)
  expect(backup.manifest.files).toEqual(first.backup.manifest.files)
})

async function make(name: string, source = 'disk'): Promise<{ backup: Backup; wasRead: boolean }> {
  const repository = await host.repository()
  const what = { repository, kind: 'volume' as const, name }
  const known = openKnownSources(dataLayout(host.path('data')), what)
  let wasRead = false
  const path = async () => {
    wasRead = true
    return host.path('disk')
  }
  const files = [{ name: 'disk', source: host.path(source), path }]
  return { backup: await backUp({ ...what, record: {}, files, known }), wasRead }
}

/** Until it has been left alone for long enough. */
async function atRest(name = 'disk'): Promise<void> {
  while ((await fileIdentity(host.path(name))) === undefined) await sleep(50)
}

async function changeKnown(change: (text: string) => string): Promise<void> {
  const { backupSources } = dataLayout(host.path('data'))
  for (const name of await readdir(backupSources)) {
    const path = join(backupSources, name)
    await writeFile(path, change(await readFile(path, 'utf8')))
  }
}

async function loseOnePack(): Promise<void> {
  const packs = host.path('repository/packs')
  for (const room of await readdir(packs)) await rm(join(packs, room), { recursive: true })
}
