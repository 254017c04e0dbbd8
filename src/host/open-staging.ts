import { lstat, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataLayout, errnoCode, problemFromSystem } from '../base/index.ts'
import { namesIn } from './names-in.ts'

/** A place to make something half, on the filesystem where it will be installed. */
export interface Staging {
  readonly path: string
  /** Removes it with all that is in it. */
  [Symbol.asyncDispose](): Promise<void>
}

/** What this process is working in: never swept. */
const inUse = new Set<string>()

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
    inUse.add(path)
    return { path, [Symbol.asyncDispose]: () => remove(path) }
  } catch (error) {
    throw problemFromSystem(error, `make a directory below ${layout.staging}`)
  }
}

/** Whether a path is below a directory of staging that this process works in at the moment. */
export function isBeingMade(path: string): boolean {
  return [...inUse].some((directory) => path.startsWith(`${directory}/`))
}

/**
 * Removes what a crash left in staging. Only for the holder of the data directory's lock, before it starts any work: whatever is there
 * then has no owner.
 *
 * @returns the paths that were removed
 */
export async function sweepStaging(layout: DataLayout): Promise<string[]> {
  const paths = await pathsIn(layout)
  await removeAll(paths, layout)
  return paths
}

/** What is in staging that this process, which holds the data directory, does not work in and that has not changed for so long. */
export async function staleStaging(layout: DataLayout, ageMs: number): Promise<string[]> {
  const others = (await pathsIn(layout)).filter((path) => !inUse.has(path))
  const isOld = await Promise.all(others.map((path) => isOlderThan(path, ageMs)))
  return others.filter((_, at) => isOld[at])
}

/** Removes that; work may go on meanwhile. @returns the paths that were removed */
export async function sweepStaleStaging(layout: DataLayout, ageMs: number): Promise<string[]> {
  const paths = await staleStaging(layout, ageMs)
  await removeAll(paths, layout)
  return paths
}

async function pathsIn({ staging }: DataLayout): Promise<string[]> {
  return (await namesIn(staging)).map((name) => join(staging, name))
}

async function removeAll(paths: readonly string[], { staging }: DataLayout): Promise<void> {
  try {
    for (const path of paths) await rm(path, { recursive: true, force: true })
  } catch (error) {
    throw problemFromSystem(error, `sweep ${staging}`)
  }
}

/** Not when it went away meanwhile. */
async function isOlderThan(path: string, ageMs: number): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs > ageMs
}

/** In use until it is gone: a removal that failed half way is what a sweep is for. */
async function remove(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true })
  } finally {
    inUse.delete(path)
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
