import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { deletedOpenFiles } from './deleted-open-files.ts'

test('a file that was deleted and is still open is found, once; what has a name is not, whatever it is called', async () => {
  await using dir = await temporaryDirectory()
  const path = (name: string) => join(dir.path, name)
  for (const name of ['gone', 'there', 'odd (deleted)']) writeFileSync(path(name), 'some bytes')
  const open = ['gone', 'gone', 'there', 'odd (deleted)'].map((name) => openSync(path(name), 'r'))
  try {
    rmSync(path('gone'))
    const found = deletedOpenFiles(dir.path, [process.pid])
    expect(found.map(({ formerPath, pid, stats }) => [formerPath, pid, stats.size])).toEqual([
      [path('gone'), process.pid, 10],
    ])
    expect(deletedOpenFiles(path('elsewhere'), [process.pid])).toEqual([])
    expect(deletedOpenFiles(dir.path, [2 ** 30])).toEqual([])
  } finally {
    for (const fd of open) closeSync(fd)
  }
})
