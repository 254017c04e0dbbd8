import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { problemFromSystem } from '../../base/index.ts'
import { bootId } from '../../host/index.ts'

/** What a file is like as long as nobody writes to it. Numbers of 64 bits are text. */
export const FileIdentity = z.strictObject({
  /** The boot of the host. After a power cut a file may have new bytes and old times: fdatasync(2) writes the ones without the others. */
  boot: z.string(),
  device: z.string(),
  inode: z.string(),
  bytes: z.string(),
  /** Nanoseconds since the epoch. */
  modified: z.string(),
  changed: z.string(),
})
export type FileIdentity = z.infer<typeof FileIdentity>

/** Filesystems have times of a clock tick, and at worst of a second: within one, a file may change and not show it. */
const restNs = 2_000_000_000n

/**
 * Two times the same means that nobody has written to the file between: whoever does changes `ctime`, which nobody can set.
 *
 * @returns undefined while it cannot be told, because it has changed just now
 * @throws Problem FILE_NOT_FOUND, IO_FAILED
 */
export async function fileIdentity(path: string): Promise<FileIdentity | undefined> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await lookAt(path)
  if (BigInt(Date.now()) * 1_000_000n - ctimeNs < restNs) return undefined
  return {
    boot: bootId(),
    device: `${dev}`,
    inode: `${ino}`,
    bytes: `${size}`,
    modified: `${mtimeNs}`,
    changed: `${ctimeNs}`,
  }
}

async function lookAt(path: string): Promise<BigIntStats> {
  try {
    return await stat(path, { bigint: true })
  } catch (error) {
    throw problemFromSystem(error, `look at ${path}`)
  }
}
