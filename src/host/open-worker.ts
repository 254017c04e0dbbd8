import type { Worker } from 'node:worker_threads'
import { Problem } from '../base/index.ts'
import { type CallReply, problemFromWire } from './worker-report.ts'
import { brokenWorker, endWorker, startWorker, type WorkerModule } from './worker-thread.ts'

/** A thread that stays, and remembers, between the calls that it answers one after the other. */
export interface WorkerService {
  /**
   * @param input copied (structured clone), as is what comes back
   * @throws Problem as the thread threw it; INTERNAL when it broke: the next call starts another; CANCELLED when the service is closed
   */
  call<T>(input: unknown): Promise<T>
  close(): Promise<void>
}

interface Started {
  readonly worker: Worker
  readonly exited: Promise<void>
  readonly waiting: Map<number, Waiting>
}

interface Waiting {
  resolve(value: unknown): void
  reject(problem: Error): void
}

/** Its module calls serveCalls. The thread starts with the first call, and while it has nothing to do it does not keep the process alive. */
export function openWorker(module: WorkerModule): WorkerService {
  let started: Started | undefined
  let calls = 0
  const start = () => {
    const fresh = startServing(module, () => {
      if (started === fresh) started = undefined
    })
    started = fresh
    return fresh
  }
  return {
    async call<T>(input: unknown) {
      const { worker, waiting } = started ?? start()
      const id = ++calls
      return await new Promise<T>((resolve, reject) => {
        waiting.set(id, { resolve: (value) => resolve(value as T), reject })
        worker.ref()
        worker.postMessage({ id, input })
      })
    },
    async close() {
      if (started === undefined) return
      const { worker, exited, waiting } = started
      const problem = new Problem('CANCELLED', `${module.name} was stopped on request`)
      for (const { reject } of waiting.values()) reject(problem)
      waiting.clear()
      await endWorker(worker, exited)
    },
  }
}

function startServing(module: WorkerModule, onEnd: () => void): Started {
  const worker = startWorker(module)
  const waiting: Started['waiting'] = new Map()
  const settle = (id: number): Waiting | undefined => {
    const call = waiting.get(id)
    waiting.delete(id)
    if (waiting.size === 0) worker.unref()
    return call
  }
  const fail = (error: Error) => {
    onEnd()
    for (const id of [...waiting.keys()]) settle(id)?.reject(brokenWorker(module.name, error))
  }
  worker.on('message', (reply: CallReply) => {
    if (reply.kind === 'done') settle(reply.id)?.resolve(reply.value)
    else settle(reply.id)?.reject(problemFromWire(reply.problem))
  })
  worker.once('error', fail)
  worker.once('messageerror', fail)
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  worker.once('exit', (code) => fail(new Error(`it ended with code ${code}`)))
  return { worker, exited, waiting }
}
