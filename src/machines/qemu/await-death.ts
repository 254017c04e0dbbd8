import { setTimeout as sleep } from 'node:timers/promises'
import { isProblem } from '../../base/index.ts'
import { lockFile, processStartTime } from '../../host/index.ts'
import type { MachineRecord } from '../driver.ts'

export interface AwaitDeath {
  readonly record: Pick<MachineRecord, 'pid' | 'pidStartTime'>
  readonly lockPath: string
  readonly signal?: AbortSignal
}

/**
 * Resolves when a VMM is dead: when the lock that it holds could be taken. The lock is let go again at once.
 *
 * @throws Problem CANCELLED
 */
export async function awaitDeath({ record, lockPath, signal }: AwaitDeath): Promise<void> {
  try {
    using _ = await lockFile(lockPath, { mode: 'exclusive', wait: true, ...(signal === undefined ? {} : { signal }) })
  } catch (error) {
    if (isProblem(error, 'CANCELLED')) throw error
    // The lock's directory has gone: the process itself is what is left to look at.
    while (isAlive(record)) await sleep(20, undefined, signal === undefined ? {} : { signal })
  }
}

/** Whether the process of a record is there still. */
export function isAlive({ pid, pidStartTime }: Pick<MachineRecord, 'pid' | 'pidStartTime'>): boolean {
  return processStartTime(pid) === pidStartTime
}
