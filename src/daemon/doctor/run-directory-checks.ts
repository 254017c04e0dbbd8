import { chmod, lstat, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sweepVmCgroups } from '../../machines/index.ts'
import type { Check } from './check.ts'
import { deadRunDirectories } from './dead-run-directories.ts'

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

export const deadRunDirectoriesCheck: Check = {
  name: 'other run directories',
  async look({ runDirectory }) {
    const dead = await deadRunDirectories(runDirectory)
    if (dead.length === 0) return { verdict: 'ok', found: 'none was left behind' }
    return {
      verdict: 'warning',
      found: `${dead.length} below ${dirname(runDirectory)}, left behind by daemons and VMs that are gone`,
      hint: 'remove them: cowshed doctor --fix',
    }
  },
  async fix({ runDirectory }) {
    const dead = await deadRunDirectories(runDirectory)
    for (const path of dead) {
      await sweepVmCgroups(path)
      await rm(path, { recursive: true, force: true })
    }
    return `removed ${dead.join(', ')}`
  },
}
