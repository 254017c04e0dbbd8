import type { ProcessIdentity } from './kill-process.ts'
import { processStat } from './process-start-time.ts'

/** USER_HZ: what /proc counts in, on every architecture that Node runs on, whatever the kernel's own clock does. @see time(7) */
const ticksPerSecond = 100

/** How much CPU time all threads of a process have taken, in milliseconds. @returns undefined when it is gone */
export function processCpuMs({ pid, startTime }: ProcessIdentity): number | undefined {
  const stat = processStat(pid)
  return stat?.startTime === startTime ? (stat.cpuTicks * 1000) / ticksPerSecond : undefined
}
