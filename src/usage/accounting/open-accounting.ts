import { openWorker } from '../../host/index.ts'
import type { Measurement, MeasureRequest } from './measured-file.ts'

/** Exact figures of what is on disk, worked out on a thread of its own that remembers where files were. */
export interface Accounting {
  /** @throws Problem PERMISSION_DENIED, IO_FAILED */
  measure(request: MeasureRequest): Promise<Measurement>
  close(): Promise<void>
}

/** The thread starts with the first question. */
export function openAccounting(): Accounting {
  const worker = openWorker({ name: 'measure-worker', module: new URL('./measure-worker.ts', import.meta.url) })
  return { measure: (request) => worker.call(request), close: () => worker.close() }
}
