import { parentPort } from 'node:worker_threads'
import { Problem } from '../base/index.ts'
import { endOfJob, problemToWire, type WorkerJob, type WorkerReport } from './worker-report.ts'

/**
 * The other end of runInWorker: a worker module's one statement.
 *
 * @param job gets the input that runInWorker was given (its type is an agreement of the two) and a function that posts messages on the
 *   way; what it returns or throws is what runInWorker returns or throws. Where threads are kept it is called again, never before it has ended
 */
export function serveWorker<I, T>(job: (input: I, post: (message: unknown) => void) => Promise<T>): void {
  const port = parentPort
  if (port === null) throw new Problem('INTERNAL', 'serveWorker was called outside of a worker')
  const send = (report: WorkerReport) => port.postMessage(report)
  const post = (value: unknown) => send({ kind: 'posted', value })
  const run = (input: I) =>
    Promise.resolve(input)
      .then((given) => job(given, post))
      .then((value) => send({ kind: 'done', value }))
      .catch((error: unknown) => send({ kind: 'failed', problem: problemToWire(error) }))
  port.on('message', (message: WorkerJob | typeof endOfJob) => {
    // Whatever the job is at. Nothing native is running in JavaScript's turn; what runs on the thread pool is waited for.
    if (message === endOfJob) process.exit()
    void run(message.input as I)
  })
}
