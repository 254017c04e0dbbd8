import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { Problem } from '../base/index.ts'
import { endOfJob, problemFromWire, type WorkerReport } from './worker-report.ts'

export interface RunInWorker {
  /** What the thread is called, and its file in the bundle: `dist/<name>.js`. */
  readonly name: string
  /** The module that calls serveWorker: `new URL('./unpack-worker.ts', import.meta.url)`. */
  readonly module: URL
  /** What the worker is given; copied (structured clone). */
  readonly input: unknown
  /** What the worker posts on its way, in order. */
  readonly onMessage?: (message: unknown) => void
  /** Ends the thread. It cannot tidy up then: what it was making must be in staging that the caller owns. */
  readonly signal?: AbortSignal
}

/** How long a thread may take to end by itself, in milliseconds. */
const graceMs = 1_000

/**
 * Runs a job on a thread of its own, and gives back its result (copied).
 *
 * @throws Problem as the job threw it (code, message, hint and data); CANCELLED; INTERNAL with the cause when the job or its thread broke
 */
export async function runInWorker<T>(options: RunInWorker): Promise<T> {
  if (options.signal?.aborted) throw cancelled(options)
  const worker = startWorker(options)
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  try {
    return await report<T>(worker, options)
  } finally {
    await end(worker, exited)
  }
}

/**
 * Tells a thread to end, which it does between two turns of its event loop. terminate() ends it anywhere, also while it binds a native
 * function, and then koffi, whose exception cannot be thrown any more, aborts the whole process: it is for threads that never come to a turn.
 */
async function end(worker: Worker, exited: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, graceMs)
  })
  worker.postMessage(endOfJob)
  await Promise.race([exited, late])
  clearTimeout(timer)
  await worker.terminate()
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
    worker.once('error', (error) => reject(broken(name, error)))
    worker.once('messageerror', (error) => reject(broken(name, error)))
    worker.once('exit', (code) => {
      settled()
      reject(broken(name, new Error(`it ended with code ${code} and no result`)))
    })
  })
}

function startWorker({ name, module, input }: RunInWorker): Worker {
  return new Worker(workerModule(name, module), { name, workerData: input, execArgv: [] })
}

/** From source it is the TypeScript module itself; the bundle has the same module as a file of its own beside it. */
function workerModule(name: string, module: URL): URL {
  if (!module.pathname.endsWith('.ts')) return module
  return existsSync(fileURLToPath(module)) ? throughTsx(module) : new URL(`./${name}.js`, module)
}

/**
 * A thread does not run what its parent was started with (`--import tsx`): it has to register tsx itself. The types alone Node 22 could
 * strip by itself, but it does not know `using`.
 */
function throughTsx(module: URL): URL {
  const api = import.meta.resolve('tsx/esm/api')
  const code = `import { register } from '${api}'; register(); await import(${JSON.stringify(module.href)})`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}

function cancelled({ name }: RunInWorker): Problem {
  return new Problem('CANCELLED', `${name} was stopped on request`)
}

function broken(name: string, cause: Error): Problem {
  return new Problem('INTERNAL', `the worker ${name} broke: ${cause.message}`, { cause })
}
