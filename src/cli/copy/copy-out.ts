import { createWriteStream } from 'node:fs'
import { chmod, lstat, mkdir, realpath, rename, rm, stat, symlink, utimes } from 'node:fs/promises'
import { dirname, posix, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import type { GuestFile, ProgressEvent } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import { type CopyJob, openCopyJob, type Skipped } from './copy-job.ts'
import { noDirectory, placeCopy } from './place-copy.ts'

export interface CopyOut {
  readonly cli: Cli
  readonly shed: string
  /** In the shed. */
  readonly from: string
  /** On this machine; a directory that is there gets the copy inside. */
  readonly to: string
  readonly onProgress: (progress: ProgressEvent) => void
}

/**
 * Copies a file, a symbolic link or a directory with all that is in it out of a shed: content, permission bits, times. A guest is not
 * trusted: no name that it gives leads out of the destination, and no link that it makes is followed.
 *
 * @returns what was not copied
 */
export async function copyOut({ cli, shed, from, to, onProgress }: CopyOut): Promise<Skipped[]> {
  const source = await cli.api.call('statGuestFile', { params: { name: shed }, query: { path: from } })
  const total = source.type === 'file' ? source.size_bytes : 0
  // Files of /proc say that they are empty.
  const job = openCopyJob({ cli, shed, onProgress, ...(total > 0 ? { total } : {}) })
  const target = await targetOf(cli, { from, to, isDirectory: source.type === 'directory' })
  try {
    await copyEntry(job, source, target)
  } catch (error) {
    throw problemFromSystem(error, `copy to ${target}`)
  }
  return job.skipped
}

interface Ends {
  readonly from: string
  readonly to: string
  readonly isDirectory: boolean
}

async function targetOf({ cwd }: Cli, { from, to, isDirectory }: Ends): Promise<string> {
  const path = resolve(cwd, to)
  const real = await realpath(path).catch(() => undefined)
  const existing = real === undefined ? undefined : (await lstat(real)).isDirectory() ? 'directory' : 'other'
  const slash = to.endsWith('/') ? '/' : ''
  const target = placeCopy({ from, isDirectory, to: (real ?? path) + slash, existing, name: posix.basename(from) })
  if (existing === undefined && !(await isDirectoryHere(dirname(target)))) throw noDirectory(dirname(target))
  return target
}

async function isDirectoryHere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

async function copyEntry(job: CopyJob, source: GuestFile, target: string): Promise<void> {
  if (source.path.includes('\ufffd')) {
    job.skipped.push({ path: source.path, why: 'its name is not UTF-8' })
    return
  }
  switch (source.type) {
    case 'file':
      return copyFile(job, source, target)
    case 'directory':
      return copyDirectory(job, source, target)
    case 'symlink':
      return copyLink(job, source, target)
    default:
      job.skipped.push({ path: source.path, why: `a ${source.type} is not copied` })
  }
}

/** A listing does not say where links lead: each is asked about. */
async function copyLink({ cli, shed }: CopyJob, { path }: GuestFile, target: string): Promise<void> {
  const link = await cli.api.call('statGuestFile', { params: { name: shed }, query: { path } })
  await rm(target, { force: true })
  await symlink(link.target ?? '', target)
}

/** Written beside its place and moved there, so that a copy that breaks off leaves no half of a file under the name. */
async function copyFile({ cli, shed, counted }: CopyJob, source: GuestFile, target: string): Promise<void> {
  const bytes = await cli.api.download('readGuestFile', { params: { name: shed }, query: { path: source.path } })
  const half = `${target}.cowshed-part`
  try {
    await rm(half, { force: true })
    await pipeline(counted(bytes), createWriteStream(half, { flags: 'wx', mode: 0o600 }))
    await chmod(half, source.mode & 0o777)
    await utimes(half, source.mtime_ms / 1000, source.mtime_ms / 1000)
    await rename(half, target)
  } catch (error) {
    await rm(half, { force: true })
    throw error
  }
}

async function copyDirectory(job: CopyJob, source: GuestFile, target: string): Promise<void> {
  await makeDirectory(target)
  const { entries } = await job.cli.api.call('listGuestDirectory', {
    params: { name: job.shed },
    query: { path: source.path },
  })
  for (const entry of entries) await copyEntry(job, entry, `${target}/${safeName(entry.path)}`)
  await chmod(target, source.mode & 0o777)
  await utimes(target, source.mtime_ms / 1000, source.mtime_ms / 1000)
}

/** A directory that is there is used; a link in its place, which the guest may have had made just before, is not followed. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error
    if (!(await lstat(path)).isDirectory()) throw new Problem('FILE_EXISTS', `${path} is there and is no directory`)
  }
}

function safeName(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name !== '' && name !== '.' && name !== '..' && !name.includes('\0')) return name
  throw new Problem(
    'AGENT_PROTOCOL',
    `the shed lists an entry that no directory can have: ${JSON.stringify(path.slice(0, 200))}`,
  )
}
