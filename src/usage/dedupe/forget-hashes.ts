import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { errnoCode } from '../../base/index.ts'

/** Removes hashes of files that are gone. */
export function forgetHashes(directory: string, needed: readonly string[]): void {
  const keep = new Set(needed)
  for (const name of namesIn(directory)) {
    const path = join(directory, name)
    if (!keep.has(path)) rmSync(path, { force: true })
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return []
    throw error
  }
}
