import { readFileSync } from 'node:fs'
import { errnoCode, problemFromSystem } from '../base/index.ts'
import { linuxOnly } from './libc.ts'

/**
 * When a process started, in clock ticks since boot; a pid and this name one process for as long as the host is up. undefined when there
 * is no such process, or only its zombie: that runs nothing and holds nothing.
 *
 * @throws Problem HOST_UNSUPPORTED, IO_FAILED
 * @see proc_pid_stat(5), field 22
 */
export function processStartTime(pid: number): string | undefined {
  const stat = processStat(pid)
  return stat === undefined || hasEnded(stat) ? undefined : stat.startTime
}

/** Of a process that is killed the first thread may be a zombie while another still holds its files and its locks. */
function hasEnded({ state, threads }: ProcessStat): boolean {
  return state === 'X' || (state === 'Z' && threads <= 1)
}

export interface ProcessStat {
  /** A letter. */
  readonly state: string
  readonly startTime: string
  readonly threads: number
  /** In user and kernel mode together. */
  readonly cpuTicks: number
}

/** What there is to say of a process, zombies too. */
export function processStat(pid: number): ProcessStat | undefined {
  linuxOnly('the start time of a process')
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch (error) {
    // ESRCH: it ended between open and read.
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ESRCH') return undefined
    throw problemFromSystem(error, `read the state of process ${pid}`)
  }
}

/** The name in field 2 may hold spaces and parentheses; what follows the last `)` is field 3 and on. */
function parseStat(text: string): ProcessStat | undefined {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, startTime] = [fields[0], fields[19]]
  if (state === undefined || startTime === undefined) return undefined
  return { state, startTime, threads: Number(fields[17]), cpuTicks: Number(fields[11]) + Number(fields[12]) }
}
