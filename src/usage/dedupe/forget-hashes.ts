import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { namesIn } from '../../host/index.ts'

/** Removes hashes of files that are gone. @throws Problem PERMISSION_DENIED, IO_FAILED; a system error */
export async function forgetHashes(directory: string, needed: readonly string[]): Promise<void> {
  const keep = new Set(needed)
  for (const name of await namesIn(directory)) {
    const path = join(directory, name)
    if (!keep.has(path)) await rm(path, { force: true })
  }
}
