import { openWorker } from '../../host/index.ts'
import type { AccountingCall } from './measure-worker.ts'
import type { Measurement, MeasureRequest } from './measured-file.ts'

/** Exact figures of what is on disk, worked out on a thread of its own that remembers where files were. */
export interface Accounting {
  /** @throws Problem PERMISSION_DENIED, IO_FAILED */
  measure(request: MeasureRequest): Promise<Measurement>
  /**
   * What is used of the filesystem of a directory, once all that was written and deleted is on its disk: bytes of data where the filesystem counts
   * those apart, else all.
   *
   * @throws Problem IO_FAILED
   */
  usedBytes(root: string): Promise<number>
  /** Gives back what an xfs holds ready for writes to come; deletes nothing. @throws Problem IO_FAILED */
  releaseReservations(root: string): Promise<void>
  close(): Promise<void>
}

/** The thread starts with the first question. */
export function openAccounting(): Accounting {
  const worker = openWorker({ name: 'measure-worker', module: new URL('./measure-worker.ts', import.meta.url) })
  const call = <T>(request: AccountingCall) => worker.call<T>(request)
  return {
    measure: (request) => call<Measurement>({ do: 'measure', ...request }),
    usedBytes: (root) => call<number>({ do: 'used', root }),
    async releaseReservations(root) {
      await call<number>({ do: 'release', root })
    },
    close: () => worker.close(),
  }
}
