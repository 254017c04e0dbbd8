import { chmod, lstat, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sweepVmCgroups } from '../../machines/index.ts'
import type { Check, Host } from './check.ts'
import { deadDirectories } from './dead-directories.ts'

export const runDirectoryCheck: Check = {
  name: 'run directory',
  async look({ runDirectory }) {
    const { mode, uid } = await lstat(runDirectory)
    const isPrivate = (mode & 0o077) === 0 && uid === process.geteuid?.()
    if (isPrivate) return { verdict: 'ok', found: runDirectory }
    return { verdict: 'failed', found: `${runDirectory} is open to others`, hint: `run: chmod 700 ${runDirectory}` }
  },
  async fix({ runDirectory }) {
    await chmod(runDirectory, 0o700)
    return `closed ${runDirectory} to others`
  },
}

export const deadRunDirectoriesCheck = deadDirectoriesCheck({
  name: 'other run directories',
  own: ({ runDirectory }) => runDirectory,
  async remove(path) {
    await sweepVmCgroups(path)
    await rm(path, { recursive: true, force: true })
  },
})

/** On a tmpfs: what is left there is memory of the host. */
export const deadRamDirectoriesCheck = deadDirectoriesCheck({
  name: 'other RAM directories',
  own: ({ ramDirectory }) => ramDirectory,
  async remove(path) {
    await rm(path, { recursive: true, force: true })
  },
})

interface DeadDirectories {
  readonly name: string
  /** This daemon's own. */
  readonly own: (host: Host) => string
  readonly remove: (path: string) => Promise<void>
}

function deadDirectoriesCheck({ name, own, remove }: DeadDirectories): Check {
  return {
    name,
    async look(host) {
      const dead = await deadDirectories(own(host))
      if (dead.length === 0) return { verdict: 'ok', found: 'none was left behind' }
      return {
        verdict: 'warning',
        found: `${dead.length} below ${dirname(own(host))}, left behind by daemons and VMs that are gone`,
        hint: 'remove them: cowshed doctor --fix',
      }
    },
    async fix(host) {
      const dead = await deadDirectories(own(host))
      for (const path of dead) await remove(path)
      return `removed ${dead.join(', ')}`
    },
  }
}
