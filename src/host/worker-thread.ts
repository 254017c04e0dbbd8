import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { errnoCode, Problem } from '../base/index.ts'
import { bundleSource } from './source-bundle.ts'
import { endOfJob } from './worker-report.ts'

export interface WorkerModule {
  /** What the thread is called, and its file in the bundle: `dist/<name>.js`. */
  readonly name: string
  /** `new URL('./unpack-worker.ts', import.meta.url)`. */
  readonly module: URL
  /** What its objects may take of memory, in bytes; buffers do not count. Node's own limit when left out. */
  readonly maxHeapBytes?: number
}

/** How long a thread may take to end by itself, in milliseconds. */
const graceMs = 1_000

export function startWorker({ name, module, maxHeapBytes }: WorkerModule): Worker {
  const resourceLimits = maxHeapBytes === undefined ? {} : { maxOldGenerationSizeMb: Math.ceil(maxHeapBytes / 2 ** 20) }
  return new Worker(workerModule(name, module), { name, execArgv: [], resourceLimits })
}

/**
 * Tells a thread to end, which it does between two turns of its event loop. terminate() ends it anywhere, also while it binds a native
 * function, and then koffi, whose exception cannot be thrown any more, aborts the whole process: it is for threads that never come to a turn.
 *
 * @param exited when it has
 */
export async function endWorker(worker: Worker, exited: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, graceMs)
  })
  worker.postMessage(endOfJob)
  await Promise.race([exited, late])
  clearTimeout(timer)
  await worker.terminate()
}

/** What a caller hears of a thread that broke. */
export function brokenWorker(name: string, cause: Error): Problem {
  if (errnoCode(cause) === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new Problem('LIMIT_EXCEEDED', `${name} needs more memory than it may have`, { cause })
  }
  return new Problem('INTERNAL', `the worker ${name} broke: ${cause.message}`, { cause })
}

/** From source it is bundled; the build has the same module as a file of its own beside it. */
function workerModule(name: string, module: URL): URL {
  if (!module.pathname.endsWith('.ts')) return module
  return existsSync(fileURLToPath(module)) ? bundleSource(module) : new URL(`./${name}.js`, module)
}
