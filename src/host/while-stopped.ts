import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoCode } from '../base/index.ts'
import { killProcess, type ProcessIdentity } from './kill-process.ts'

/** How long a process may take until none of its threads runs: one that waits for a disk stops when it has its answer. Milliseconds. */
const patienceMs = 5_000

/**
 * Does something short while another process does nothing: whatever it was in the middle of writing is written before, and it goes on after. SIGSTOP and
 * SIGCONT, so nothing in it notices but the clock. Whoever is killed in between leaves it stopped: who takes it over should say SIGCONT.
 *
 * @returns what the work returned; undefined when it could not be stopped, and the work was not done
 * @throws whatever the work throws
 */
export async function whileStopped<T>(process: ProcessIdentity, work: () => T): Promise<T | undefined> {
  if (!killProcess(process, 'SIGSTOP')) return work()
  try {
    for (const deadline = Date.now() + patienceMs; !isStopped(process.pid); await sleep(1)) {
      if (Date.now() > deadline) return undefined
    }
    return work()
  } finally {
    killProcess(process, 'SIGCONT')
  }
}

/** No thread of it runs, in the kernel neither. A system call that has begun is ended first. @see proc_pid_stat(5), field 3 */
function isStopped(pid: number): boolean {
  const threads = unlessGone(() => readdirSync(`/proc/${pid}/task`)) ?? []
  return threads.every((thread) => {
    const stat = unlessGone(() => readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1'))
    return stat === undefined || /.*\) [TtZX] /s.test(stat)
  })
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ESRCH') return undefined
    throw error
  }
}
