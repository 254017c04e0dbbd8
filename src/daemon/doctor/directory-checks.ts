import { constants } from 'node:fs'
import { access, lstat, readdir } from 'node:fs/promises'
import { errnoCode, formatSize, problemFromSystem } from '../../base/index.ts'
import { filesystemOf, isLocked } from '../../host/index.ts'
import type { Check } from './run-doctor.ts'

export const dataDirectoryCheck: Check = {
  name: 'data directory',
  async look({ layout: { root } }) {
    try {
      await access(root, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw problemFromSystem(error, `write to ${root}`)
    }
    const { type, reflink } = await filesystemOf(root)
    const sharing = reflink ? 'files share extents' : 'no reflinks: lowers are copied, uppers are sparse'
    return { verdict: 'ok', found: `${root} on ${type}; ${sharing}` }
  },
}

/** Below this, loading an ordinary image may fail half way. */
const littleBytes = 5e9

export const spaceCheck: Check = {
  name: 'free space',
  async look({ layout: { root } }) {
    const { freeBytes, totalBytes } = await filesystemOf(root)
    const found = `${formatSize(freeBytes)} of ${formatSize(totalBytes)}`
    if (freeBytes >= littleBytes) return { verdict: 'ok', found }
    return { verdict: 'warning', found, hint: 'see what can be removed: cowshed system prune --dry-run' }
  },
}

export const lockCheck: Check = {
  name: 'lock',
  async look({ layout: { lock } }) {
    if (await isLocked(lock))
      return { verdict: 'ok', found: `this daemon (pid ${process.pid}) holds the data directory` }
    return {
      verdict: 'failed',
      found: `nobody holds ${lock}: a second daemon could start`,
      hint: 'restart the daemon; was the lock file removed?',
    }
  },
}

/** What is here longer than this is no work in progress. */
const oldMs = 24 * 3600e3

export const stagingCheck: Check = {
  name: 'staging',
  async look({ layout: { staging } }) {
    const names = await readdir(staging).catch((error: unknown) => {
      if (errnoCode(error) === 'ENOENT') return []
      throw problemFromSystem(error, `read ${staging}`)
    })
    const stats = await Promise.all(names.map((name) => lstat(`${staging}/${name}`).catch(() => undefined)))
    const old = stats.filter((entry) => entry !== undefined && Date.now() - entry.mtimeMs > oldMs).length
    if (old === 0)
      return { verdict: 'ok', found: names.length === 0 ? 'nothing half made' : `${names.length} in progress` }
    return {
      verdict: 'warning',
      found: `${old} left over from more than a day ago`,
      hint: 'a restart of the daemon removes them',
    }
  },
}

export const runDirectoryCheck: Check = {
  name: 'run directory',
  async look({ runDirectory }) {
    const { mode, uid } = await lstat(runDirectory)
    const isPrivate = (mode & 0o077) === 0 && uid === process.geteuid?.()
    if (isPrivate) return { verdict: 'ok', found: runDirectory }
    return { verdict: 'failed', found: `${runDirectory} is open to others`, hint: `run: chmod 700 ${runDirectory}` }
  },
}
