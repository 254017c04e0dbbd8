import { Problem } from '../base/index.ts'
import { keepThread, type Thread, takeThread } from './kept-threads.ts'
import { problemFromWire, type WorkerJob, type WorkerReport } from './worker-report.ts'
import { brokenWorker, endWorker, type WorkerModule } from './worker-thread.ts'

/** Its module calls serveWorker. */
export interface RunInWorker extends WorkerModule {
  /** What the worker is given; copied (structured clone). */
  readonly input: unknown
  /** What the worker posts on its way, in order. */
  readonly onMessage?: (message: unknown) => void
  /** Ends the thread. It cannot tidy up then: what it was making must be in staging that the caller owns. */
  readonly signal?: AbortSignal
  /**
   * For how many milliseconds the thread waits for another job of its module when this one is done: code that has run before runs twice as fast. Not
   * at all unless told. Its heap stays with it.
   */
  readonly keepMs?: number
}

/**
 * Runs a job on a thread of its own, and gives back its result (copied).
 *
 * @throws Problem as the job threw it (code, message, hint and data); CANCELLED; LIMIT_EXCEEDED when it wants more memory than it may have; INTERNAL with the cause when the job or its thread broke
 */
export async function runInWorker<T>(options: RunInWorker): Promise<T> {
  if (options.signal?.aborted) throw cancelled(options)
  const thread = takeThread(options)
  try {
    const result = await report<T>(thread, options)
    if (options.keepMs === undefined) await endWorker(thread.worker, thread.exited)
    else keepThread(options, thread, options.keepMs)
    return result
  } catch (error) {
    await endWorker(thread.worker, thread.exited)
    throw error
  }
}

/** Listens for as long as the job takes: the thread may have another after it. */
async function report<T>({ worker }: Thread, options: RunInWorker): Promise<T> {
  const { name, input, onMessage, signal } = options
  let forget = () => {}
  try {
    return await new Promise<T>((resolve, reject) => {
      const hear = (message: WorkerReport) => {
        try {
          if (message.kind === 'posted') onMessage?.(message.value)
          else if (message.kind === 'done') resolve(message.value as T)
          else reject(problemFromWire(message.problem))
        } catch (error) {
          reject(error as Error)
        }
      }
      const broke = (error: Error) => reject(brokenWorker(name, error))
      const ended = (code: number) => broke(new Error(`it ended with code ${code} and no result`))
      const stop = () => reject(cancelled(options))
      worker.on('message', hear).on('error', broke).on('messageerror', broke).on('exit', ended)
      signal?.addEventListener('abort', stop)
      forget = () => {
        worker.off('message', hear).off('error', broke).off('messageerror', broke).off('exit', ended)
        signal?.removeEventListener('abort', stop)
      }
      worker.postMessage({ input } satisfies WorkerJob)
    })
  } finally {
    forget()
  }
}

function cancelled({ name }: RunInWorker): Problem {
  return new Problem('CANCELLED', `${name} was stopped on request`)
}
