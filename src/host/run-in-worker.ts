import type { Worker } from 'node:worker_threads'
import { Problem } from '../base/index.ts'
import { problemFromWire, type WorkerReport } from './worker-report.ts'
import { brokenWorker, endWorker, startWorker, type WorkerModule } from './worker-thread.ts'

/** Its module calls serveWorker. */
export interface RunInWorker extends WorkerModule {
  /** What the worker is given; copied (structured clone). */
  readonly input: unknown
  /** What the worker posts on its way, in order. */
  readonly onMessage?: (message: unknown) => void
  /** Ends the thread. It cannot tidy up then: what it was making must be in staging that the caller owns. */
  readonly signal?: AbortSignal
}

/**
 * Runs a job on a thread of its own, and gives back its result (copied).
 *
 * @throws Problem as the job threw it (code, message, hint and data); CANCELLED; LIMIT_EXCEEDED when it wants more memory than it may have; INTERNAL with the cause when the job or its thread broke
 */
export async function runInWorker<T>(options: RunInWorker): Promise<T> {
  if (options.signal?.aborted) throw cancelled(options)
  const worker = startWorker(options, options.input)
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  try {
    return await report<T>(worker, options)
  } finally {
    await endWorker(worker, exited)
  }
}

function report<T>(worker: Worker, options: RunInWorker): Promise<T> {
  const { name, onMessage, signal } = options
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(cancelled(options))
    signal?.addEventListener('abort', onAbort, { once: true })
    const settled = () => signal?.removeEventListener('abort', onAbort)
    worker.on('message', (message: WorkerReport) => {
      try {
        if (message.kind === 'posted') onMessage?.(message.value)
        else if (message.kind === 'done') resolve(message.value as T)
        else reject(problemFromWire(message.problem))
      } catch (error) {
        reject(error as Error)
      }
    })
    worker.once('error', (error) => reject(brokenWorker(name, error)))
    worker.once('messageerror', (error) => reject(brokenWorker(name, error)))
    worker.once('exit', (code) => {
      settled()
      reject(brokenWorker(name, new Error(`it ended with code ${code} and no result`)))
    })
  })
}

function cancelled({ name }: RunInWorker): Problem {
  return new Problem('CANCELLED', `${name} was stopped on request`)
}
