import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { formatSize, problemFromSystem } from '../../base/index.ts'
import { filesystemOf, isLocked, staleStaging, sweepStaleStaging } from '../../host/index.ts'
import type { Check } from './check.ts'

export const dataDirectoryCheck: Check = {
  name: 'data directory',
  async look({ layout: { root } }) {
    try {
      await access(root, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
      throw problemFromSystem(error, `write to ${root}`)
    }
    return { verdict: 'ok', found: `${root} on ${(await filesystemOf(root)).type}` }
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

/** What is younger may be in somebody's hands who looks at a crash. */
const oldMs = 3600e3

export const stagingCheck: Check = {
  name: 'staging',
  async look({ layout }) {
    const { length } = await staleStaging(layout, oldMs)
    if (length === 0) return { verdict: 'ok', found: 'nothing half made was left behind' }
    return {
      verdict: 'warning',
      found: `${length} half made and left behind more than an hour ago`,
      hint: 'remove them: cowshed doctor --fix',
    }
  },
  async fix({ layout }) {
    return `removed ${(await sweepStaleStaging(layout, oldMs)).join(', ')}`
  },
}
