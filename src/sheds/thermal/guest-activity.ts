import { processCpuMs } from '../../host/index.ts'
import type { MachineRecord } from '../../machines/index.ts'

/**
 * How much of one CPU an idle guest may take and still count as idle. One with nothing but its clock takes 1 to 2 % under emulation and less under
 * KVM (docs/decisions/0115-when-a-shed-cools.md); whatever computes, compiles or downloads takes many times that.
 */
const idleShare = 0.1

interface Sample {
  readonly pid: number
  readonly cpuMs: number
  readonly at: number
  readonly isAtWork: boolean
}

/** Whether guests are at work without anybody who is attached, a job that somebody left running for one: by the CPU time that their VMMs take. */
export class GuestActivity {
  readonly #last = new Map<string, Sample>()

  /**
   * In the last window that is over. The first look at a machine cannot tell, and says no.
   *
   * @param windowMs what counts is the average over at least so long: what a guest does every now and then is no work
   */
  isAtWork({ id, pid, pidStartTime: startTime }: MachineRecord, windowMs: number): boolean {
    const last = this.#last.get(id)
    const at = performance.now()
    const isSame = last?.pid === pid
    if (isSame && at - last.at < windowMs) return last.isAtWork
    const cpuMs = processCpuMs({ pid, startTime })
    if (cpuMs === undefined) return false
    const isAtWork = isSame && cpuMs - last.cpuMs > (at - last.at) * idleShare
    this.#last.set(id, { pid, cpuMs, at, isAtWork })
    return isAtWork
  }

  /** Nothing is kept of machines that are not among these. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#last.keys()) if (!ids.has(id)) this.#last.delete(id)
  }
}
