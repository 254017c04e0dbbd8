import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { endWorker, startWorker, type WorkerModule } from './worker-thread.ts'

/** A thread that has no job, or one. */
export interface Thread {
  readonly worker: Worker
  readonly exited: Promise<void>
}

interface Kept {
  readonly thread: Thread
  readonly forget: () => void
}

/** By module and limit of memory. None of them keeps the process alive. */
const idle = new Map<string, Kept[]>()

/** One that was kept, or a new one. */
export function takeThread(module: WorkerModule): Thread {
  const kept = idle.get(keyOf(module))?.at(-1)
  if (kept === undefined) return startThread(module)
  kept.forget()
  kept.thread.worker.ref()
  return kept.thread
}

/** Keeps a thread that has done its job, for as many milliseconds at most; more threads than this host has processors are not. */
export function keepThread(module: WorkerModule, thread: Thread, milliseconds: number): void {
  const { worker, exited } = thread
  const key = keyOf(module)
  const others = idle.get(key) ?? []
  if (others.length >= availableParallelism()) return void endWorker(worker, exited)
  const forget = () => {
    clearTimeout(timer)
    worker.off('exit', forget)
    idle.set(
      key,
      (idle.get(key) ?? []).filter((one) => one !== kept),
    )
  }
  const kept = { thread, forget }
  const timer = setTimeout(() => {
    forget()
    void endWorker(worker, exited)
  }, milliseconds).unref()
  worker.on('exit', forget)
  worker.unref()
  idle.set(key, [...others, kept])
}

function startThread(module: WorkerModule): Thread {
  const worker = startWorker(module)
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  // Who waits for its job listens too; what it says when nobody does is no reason to crash.
  worker.on('error', () => {})
  return { worker, exited }
}

function keyOf({ name, module, maxHeapBytes }: WorkerModule): string {
  return `${name} ${module.href} ${maxHeapBytes}`
}
