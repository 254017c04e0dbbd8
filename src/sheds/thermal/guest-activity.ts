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
}

/** Whether guests are at work without anybody who is attached, a job that somebody left running for one: by the CPU time that their VMMs take. */
export class GuestActivity {
  readonly #last = new Map<string, Sample>()

  /** Since the last look at this machine. The first one cannot tell, and says no. */
  isAtWork({ id, pid, pidStartTime: startTime }: MachineRecord): boolean {
    const cpuMs = processCpuMs({ pid, startTime })
    const last = this.#last.get(id)
    if (cpuMs === undefined) return false
    const at = performance.now()
    this.#last.set(id, { pid, cpuMs, at })
    return last?.pid === pid && cpuMs - last.cpuMs > (at - last.at) * idleShare
  }

  /** Nothing is kept of machines that are not among these. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.#last.keys()) if (!ids.has(id)) this.#last.delete(id)
  }
}
