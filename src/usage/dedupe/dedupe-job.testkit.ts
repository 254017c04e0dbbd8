import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DedupeJob, FileRole } from './dedupe-job.ts'

/** A job for all files of `files/` below a directory, in the order of their names; hashes and staging are beside it. */
export function jobOn(
  root: string,
  options: { readonly dryRun: boolean; readonly roles?: Readonly<Record<string, FileRole>> },
): DedupeJob {
  const staging = join(root, 'staging')
  mkdirSync(staging, { recursive: true })
  return {
    root,
    files: names(root).map((name) => {
      const path = join(root, 'files', name)
      const { ino, size, blocks, ctimeMs } = lstatSync(path)
      const role = options.roles?.[name] ?? 'changed'
      return { path, inode: ino, logicalBytes: size, allocatedBytes: blocks * 512, changedAt: ctimeMs, role }
    }),
    hashes: join(root, 'hashes'),
    staging,
    dryRun: options.dryRun,
  }
}

/** What is in the files, by name. */
export function contents(root: string): Record<string, string> {
  const digest = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(root, 'files', name)))
      .digest('hex')
  return Object.fromEntries(names(root).map((name) => [name, digest(name)]))
}

function names(root: string): string[] {
  return readdirSync(join(root, 'files')).sort()
}
