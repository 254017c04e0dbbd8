import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { newId, problemFromSystem } from '../base/index.ts'
import { syncDirectory } from './sync-directory.ts'

/**
 * Replaces a small file so that a reader, or a crash at any moment, sees the old content or the new one and nothing between.
 *
 * The bytes go to `.<name>.<id>.tmp` beside it first. When the promise resolves, content and name are durable.
 *
 * @param mode permission bits of the new file whatever the umask; 0o600 by default
 * @throws Problem NO_SPACE, PERMISSION_DENIED, FILE_NOT_FOUND (no such directory), IO_FAILED; the file is then as it was
 */
export async function writeFileAtomically(
  path: string,
  bytes: Uint8Array | string,
  { mode = 0o600 }: { mode?: number } = {},
): Promise<void> {
  const temporary = `${dirname(path)}/.${basename(path)}.${newId()}.tmp`
  try {
    await writeDurably(temporary, bytes, mode)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw problemFromSystem(error, `write ${path}`)
  }
  await syncDirectory(dirname(path))
}

async function writeDurably(path: string, bytes: Uint8Array | string, mode: number): Promise<void> {
  await using file = await open(path, 'wx', mode)
  // The umask took its share of the mode at open.
  await file.chmod(mode)
  await file.writeFile(bytes)
  await file.sync()
}
