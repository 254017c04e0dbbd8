import { constants } from 'node:os'
import { Problem, problemFromSystem } from '../base/index.ts'
import { lastError, libc } from './libc.ts'
import { processStartTime } from './process-start-time.ts'

export interface ProcessIdentity {
  readonly pid: number
  /** From processStartTime. */
  readonly startTime: string
}

/**
 * Sends a signal to exactly that process: never to another that got its pid since. The pidfd pins the process between the look and the signal.
 *
 * @returns false when it is gone
 * @throws Problem PERMISSION_DENIED, HOST_UNSUPPORTED, IO_FAILED
 * @see pidfd_open(2), pidfd_send_signal(2)
 */
export function killProcess({ pid, startTime }: ProcessIdentity, signal: NodeJS.Signals): boolean {
  // 0 and negative numbers mean process groups to kill(2), 1 is init: a record that says so is damaged.
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new Problem('RECORD_INVALID', `not the pid of a process: ${pid}`)
  const pidfd = libc().pidfdOpen(pid)
  if (pidfd < 0) return goneOrThrow('pidfd_open', pid)
  try {
    if (processStartTime(pid) !== startTime) return false
    return libc().pidfdSendSignal(pidfd, constants.signals[signal]) === 0 || goneOrThrow('pidfd_send_signal', pid)
  } finally {
    libc().close(pidfd)
  }
}

function goneOrThrow(syscall: string, pid: number): false {
  const error = lastError(syscall)
  if (error.code === 'ESRCH') return false
  throw problemFromSystem(error, `signal process ${pid}`)
}
