import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { killProcess } from '../../host/index.ts'
import type { QmpConnection } from '../../wires/index.ts'
import type { Machine, MachineExit, MachineRecord } from '../driver.ts'
import { fileTail } from '../file-tail.ts'
import { awaitDeath } from './await-death.ts'
import { classifyExit } from './classify-exit.ts'
import { Forwards } from './forwards.ts'
import type { GuestWatch } from './guest-watch.ts'
import { logTail } from './log-tail.ts'

export interface QemuMachine {
  readonly record: MachineRecord
  readonly lockPath: string
  readonly qmp: QmpConnection
  readonly guest: GuestWatch
  /** How the process ends, when it is our child. */
  readonly ended?: Promise<{ readonly code?: number; readonly signal?: string }>
  /** Where this run's output starts in the logs; absent when another process started it. */
  readonly logs?: MachineLogs
}

export interface MachineLogs {
  readonly consolePath: string
  readonly consoleFrom: number
  readonly logPath: string
  readonly logFrom: number
}

/** A running QEMU with a conversation to its monitor, as a machine. It takes over the conversation. */
export function qemuMachine(parts: QemuMachine): Machine {
  const { record, lockPath, qmp } = parts
  const released = new AbortController()
  const forwards = new Forwards(qmp)
  let killedByUs = false
  const exited = exit(parts, { signal: released.signal, killedByUs: () => killedByUs })
  return {
    record,
    exited,
    agentGone: parts.guest.agentGone,
    pause: async () => void (await qmp.execute('stop')),
    resume: async () => void (await qmp.execute('cont')),
    kill: async () => {
      killedByUs = true
      killProcess({ pid: record.pid, startTime: record.pidStartTime }, 'SIGKILL')
      await (released.signal.aborted ? awaitDeath({ record, lockPath }) : exited)
    },
    addForward: (forward) => forwards.add(forward),
    removeForward: (hostPort) => forwards.remove(hostPort),
    forwards: () => forwards.list(),
    release: () => {
      released.abort()
      qmp.close()
    },
  }
}

interface Watching {
  readonly signal: AbortSignal
  readonly killedByUs: () => boolean
}

/** Never settles once the machine was released: what becomes of it then is the business of whoever adopts it. */
async function exit(parts: QemuMachine, watching: Watching): Promise<MachineExit> {
  const { record, lockPath, qmp, ended, guest, logs } = parts
  await Promise.race(ended === undefined ? [qmp.closed] : [qmp.closed, ended])
  try {
    await awaitDeath({ record, lockPath, signal: watching.signal })
  } catch {
    return await new Promise<never>(() => {})
  }
  // It is dead, so both come at once; what QEMU said last may still be in the socket.
  const process = await within(ended, 1000)
  await within(qmp.closed, 1000)
  qmp.close()
  await removeSockets(record)
  return classifyExit({
    killedByUs: watching.killedByUs(),
    shutdownReason: guest.shutdownReason,
    process,
    consoleTail: logs === undefined ? '' : await consoleTail(logs),
    logTail: logs === undefined ? '' : await logTail(logs.logPath, logs.logFrom),
  })
}

/** QEMU removes its sockets only when it ends in order. */
export async function removeSockets(record: Pick<MachineRecord, 'agentSocket' | 'controlSocket'>): Promise<void> {
  await Promise.all([record.agentSocket, record.controlSocket].map((path) => rm(path, { force: true })))
}

/** The timer keeps this process alive: a child that nobody waits for does not. */
async function within<T>(promise: Promise<T> | undefined, milliseconds: number): Promise<T | undefined> {
  const giveUp = new AbortController()
  const late = sleep(milliseconds, undefined, { signal: giveUp.signal }).catch(() => undefined)
  try {
    return await Promise.race([promise, late])
  } finally {
    giveUp.abort()
  }
}

function consoleTail({ consolePath, consoleFrom }: MachineLogs): Promise<string> {
  return fileTail(consolePath, { from: consoleFrom, maxBytes: 16 * 1024 })
}
