import { constants, type Stats } from 'node:fs'
import { lstat, open, realpath, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { mountedAt, unmountFile } from '../../host/index.ts'

/** What mounts of ours are called. */
export const fuseSubtype = 'cowshed'

/** An empty file that something can be mounted on. */
export interface FusePath {
  /** Without links. */
  readonly path: string
  readonly mode: number
  readonly owner: number
  readonly group: number
  /** Takes the file away, when it was not there before. */
  remove(): Promise<void>
}

/**
 * Makes sure that there is an empty file at a path, and that nothing is mounted there: what a server of ours has left that was killed is taken away.
 *
 * @throws Problem FILE_EXISTS when there is anything else; FILE_NOT_FOUND without the directory; PERMISSION_DENIED, IO_FAILED
 */
export async function prepareFusePath(path: string): Promise<FusePath> {
  const place = await withoutLinks(path)
  while (await isMounted(place)) {
    if (!(await isLeft(place))) throw inTheWay(path, 'something is mounted there already')
    await unmountFile(place)
  }
  const isNew = await make(place)
  const found = await facts(place)
  if (!found.isFile()) throw inTheWay(path, 'it is no regular file')
  if (found.size > 0) throw inTheWay(path, 'it is not empty')
  return {
    ...{ path: place, mode: found.mode & ~writing, owner: found.uid, group: found.gid },
    async remove() {
      if (isNew) await rm(place, { force: true }).catch(() => {})
    },
  }
}

const writing = constants.S_IWUSR | constants.S_IWGRP | constants.S_IWOTH

async function withoutLinks(path: string): Promise<string> {
  try {
    // Not of the file itself: to look at it is to ask its server.
    return join(await realpath(dirname(path)), basename(path))
  } catch (error) {
    throw problemFromSystem(error, `serve ${path}`)
  }
}

async function isMounted(path: string): Promise<boolean> {
  return (await mountedAt(path)) !== undefined
}

/** Whether a mount of ours has no server any more. */
async function isLeft(path: string): Promise<boolean> {
  if ((await mountedAt(path))?.type !== `fuse.${fuseSubtype}`) return false
  try {
    await lstat(path)
    return false
  } catch (error) {
    return ['ENOTCONN', 'ECONNABORTED'].includes(errnoCode(error) ?? '')
  }
}

/** @returns whether it was not there */
async function make(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return false
    throw problemFromSystem(error, `make ${path}`)
  }
}

async function facts(path: string): Promise<Stats> {
  try {
    return await lstat(path)
  } catch (error) {
    throw problemFromSystem(error, `look at ${path}`)
  }
}

function inTheWay(path: string, why: string): Problem {
  return new Problem('FILE_EXISTS', `nothing can be served at ${path}: ${why}`, {
    hint: 'name a path where nothing is, or an empty file',
  })
}
