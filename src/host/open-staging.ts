import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataLayout, errnoCode, problemFromSystem } from '../base/index.ts'

/** A place to make something half, on the filesystem where it will be installed. */
export interface Staging {
  readonly path: string
  /** Removes it with all that is in it. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Makes a fresh directory (mode 0700) below the data directory's staging.
 *
 * @param label what it is for, for the people who look at a crash: it becomes the start of its name
 * @throws Problem NO_SPACE, PERMISSION_DENIED, IO_FAILED
 */
export async function openStaging(layout: DataLayout, label: string): Promise<Staging> {
  const prefix = join(layout.staging, `${label.replace(/[^A-Za-z0-9._-]+/g, '-')}-`)
  try {
    const path = await makeBelow(layout.staging, prefix)
    return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
  } catch (error) {
    throw problemFromSystem(error, `make a directory below ${layout.staging}`)
  }
}

/**
 * Removes what a crash left in staging. Only for the holder of the data directory's lock, before it starts any work: whatever is there
 * then has no owner.
 *
 * @returns the paths that were removed
 */
export async function sweepStaging(layout: DataLayout): Promise<string[]> {
  try {
    const paths = (await readdir(layout.staging)).map((name) => join(layout.staging, name))
    for (const path of paths) await rm(path, { recursive: true, force: true })
    return paths
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return []
    throw problemFromSystem(error, `sweep ${layout.staging}`)
  }
}

async function makeBelow(parent: string, prefix: string): Promise<string> {
  try {
    return await mkdtemp(prefix)
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error
    await mkdir(parent, { recursive: true, mode: 0o700 })
    return await mkdtemp(prefix)
  }
}
