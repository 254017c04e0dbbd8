import { createReadStream, type Stats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { basename, posix, resolve } from 'node:path'
import { isProblem, problemFromSystem } from '../../base/index.ts'
import type { GuestFile, ProgressEvent } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import { type CopyJob, openCopyJob, type Skipped } from './copy-job.ts'
import { noDirectory, placeCopy } from './place-copy.ts'

export interface CopyIn {
  readonly cli: Cli
  readonly shed: string
  /** On this machine. */
  readonly from: string
  /** In the shed; a directory that is there gets the copy inside. */
  readonly to: string
  readonly onProgress: (progress: ProgressEvent) => void
}

/**
 * Copies a file, a symbolic link or a directory with all that is in it into a shed: content, permission bits, and the times of files.
 * There they belong to root.
 *
 * @returns what was not copied
 */
export async function copyIn({ cli, shed, from, to, onProgress }: CopyIn): Promise<Skipped[]> {
  const source = resolve(cli.cwd, from)
  const found = await local(`read ${source}`, () => lstat(source))
  const job = openCopyJob({ cli, shed, onProgress, ...(found.isFile() ? { total: found.size } : {}) })
  await copyEntry(job, source, await targetOf(job, { from, to, isDirectory: found.isDirectory() }))
  return job.skipped
}

interface Ends {
  readonly from: string
  readonly to: string
  readonly isDirectory: boolean
}

async function targetOf(job: CopyJob, { from, to, isDirectory }: Ends): Promise<string> {
  const existing = kindOf(await statFollowing(job, to))
  const name = basename(resolve(job.cli.cwd, from))
  const target = placeCopy({ from, to, isDirectory, existing, name })
  const parent = posix.dirname(target)
  if (existing === undefined && kindOf(await statFollowing(job, parent)) !== 'directory')
    throw noDirectory(`${job.shed}:${parent}`, `cowshed exec ${job.shed} -- mkdir -p ${parent}`)
  return target
}

function kindOf(file: GuestFile | undefined): 'directory' | 'other' | undefined {
  return file === undefined ? undefined : file.type === 'directory' ? 'directory' : 'other'
}

async function copyEntry(job: CopyJob, source: string, target: string): Promise<void> {
  const found = await local(`read ${source}`, () => lstat(source))
  const mode = found.mode & 0o7777
  if (found.isFile()) return copyFile(job, { source, target, found })
  if (found.isSymbolicLink()) return copyLink(job, { source, target })
  if (!found.isDirectory()) {
    job.skipped.push({ path: source, why: 'it is neither file, directory nor symbolic link' })
    return
  }
  await makeDirectory(job, target, mode)
  for (const name of await local(`read ${source}`, () => readdir(source))) {
    await copyEntry(job, `${source}/${name}`, posix.join(target, name))
  }
}

interface LinkToCopy {
  readonly source: string
  readonly target: string
}

/** In the place of a file or a link that is there, as a file would come. */
async function copyLink({ cli, shed }: CopyJob, { source, target }: LinkToCopy): Promise<void> {
  const params = { name: shed }
  const body = { type: 'symlink', path: target, target: await local(`read ${source}`, () => readlink(source)) } as const
  try {
    await cli.api.call('makeGuestFile', { params, body })
  } catch (error) {
    const there = await cli.api.call('statGuestFile', { params, query: { path: target } }).catch(() => undefined)
    if (there === undefined || there.type === 'directory') throw error
    await cli.api.call('removeGuestFile', { params, query: { path: target } })
    await cli.api.call('makeGuestFile', { params, body })
  }
}

interface FileToCopy extends LinkToCopy {
  readonly found: Stats
}

async function copyFile({ cli, shed, counted }: CopyJob, { source, target, found }: FileToCopy): Promise<void> {
  await cli.api.call('writeGuestFile', {
    params: { name: shed },
    query: { path: target, mode: found.mode & 0o7777, mtime_ms: Math.max(0, Math.round(found.mtimeMs)) },
    upload: { mediaType: 'application/octet-stream', source: counted(readLocal(source)) },
  })
}

async function* readLocal(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path, { highWaterMark: 256 * 1024 }) as AsyncIterable<Buffer>
  } catch (error) {
    throw problemFromSystem(error, `read ${path}`)
  }
}

async function makeDirectory(job: CopyJob, path: string, mode: number): Promise<void> {
  try {
    await job.cli.api.call('makeGuestFile', { params: { name: job.shed }, body: { type: 'directory', path, mode } })
  } catch (error) {
    if ((await statFollowing(job, path))?.type !== 'directory') throw error
  }
}

/** What is at a path in the shed, through symbolic links; undefined when there is nothing. */
async function statFollowing({ cli, shed }: CopyJob, path: string): Promise<GuestFile | undefined> {
  try {
    return await cli.api.call('statGuestFile', { params: { name: shed }, query: { path, follow: 'true' } })
  } catch (error) {
    if (isProblem(error, 'GUEST_FILE_NOT_FOUND')) return undefined
    throw error
  }
}

async function local<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw problemFromSystem(error, doing)
  }
}
