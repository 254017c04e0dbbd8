import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataLayout, errnoCode, problemFromSystem } from '../../base/index.ts'

/**
 * The first file of a data directory that somebody would miss. What a daemon makes when it starts is none, nor are its settings, which go along.
 *
 * @returns undefined when there is none
 */
export async function firstData(layout: DataLayout): Promise<string | undefined> {
  const { lock, socket, daemonLog, indexDb, config, ociLayout, imageIndex, staging } = layout
  // Every tag of the image index is of a blob, and that would be found.
  const known = new Set([
    lock,
    socket,
    daemonLog,
    indexDb,
    `${indexDb}-wal`,
    `${indexDb}-shm`,
    config,
    ociLayout,
    imageIndex,
  ])
  return await firstBelow(layout.root, (path) => known.has(path) || path === staging)
}

async function firstBelow(directory: string, isNone: (path: string) => boolean): Promise<string | undefined> {
  for (const entry of await entriesOf(directory)) {
    const path = join(directory, entry.name)
    if (isNone(path)) continue
    const found = entry.isDirectory() ? await firstBelow(path, isNone) : path
    if (found !== undefined) return found
  }
  return undefined
}

async function entriesOf(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true })
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return []
    throw problemFromSystem(error, `list ${directory}`)
  }
}
