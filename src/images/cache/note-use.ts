import { utimes } from 'node:fs/promises'
import type { DerivedFile } from './derived-files.ts'

/**
 * Notes that derived files are used now: their modification time says when that was last, since nothing ever changes what is in them. That costs one
 * system call, survives restarts and goes with the file. atime would not do: whoever reads the file to back it up moves that.
 *
 * Never fails what the files are used for: on a full or failing disk a file only seems less used than it is.
 */
export async function noteUse(files: readonly Pick<DerivedFile, 'path'>[]): Promise<void> {
  const now = new Date()
  await Promise.all(files.map(({ path }) => utimes(path, now, now).catch(() => undefined)))
}
