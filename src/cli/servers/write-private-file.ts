import { mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { newId, problemFromSystem } from '../../base/index.ts'

/**
 * Writes a file that is for its owner alone (0600, in directories that are 0700 when they are made): after a crash there is the old one or the
 * new one. What a kill leaves is called `.*.tmp`.
 *
 * @throws Problem NO_SPACE, PERMISSION_DENIED, IO_FAILED
 */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const directory = dirname(path)
  const temporary = `${directory}/.${basename(path)}.${newId()}.tmp`
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writeSynced(temporary, text)
    await rename(temporary, path)
    await syncDirectory(directory)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw problemFromSystem(error, `write ${path}`)
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  await file.writeFile(text)
  await file.sync()
}

/** The names in it are durable. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path)
  await directory.sync()
}
