import { rm } from 'node:fs/promises'
import { killProcess, whileStopped, within } from '../../host/index.ts'
import { asObject, type QmpConnection } from '../../wires/index.ts'
import type { Machine, MachineExit, MachineRecord } from '../driver.ts'
import { fileTail } from '../file-tail.ts'
import { awaitDeath } from './await-death.ts'
import { classifyExit } from './classify-exit.ts'
import { removeVmCgroup } from './confine/vm-cgroup.ts'
import { Forwards } from './forwards.ts'
import type { GuestWatch } from './guest-watch.ts'
import { logTail } from './log-tail.ts'
import { driveNode } from './qemu-arguments.ts'
import { handOver } from './state/hand-over.ts'
import { saveState } from './state/save-state.ts'
import { stateDirectory } from './state/state-directory.ts'

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
  const process = { pid: record.pid, startTime: record.pidStartTime }
  let killedByUs = false
  const exited = exit(parts, { signal: released.signal, killedByUs: () => killedByUs })
  return {
    record,
    exited,
    agentGone: parts.guest.agentGone,
    pause: async () => void (await qmp.execute('stop')),
    resume: async () => void (await qmp.execute('cont')),
    isPaused: async () => asObject(await qmp.execute('query-status')).running !== true,
    saveState: async (path) => await saveState(parts, path),
    handOver: async (socketPath) => await handOver(parts, socketPath),
    whileStill: (work) => whileStopped(process, work),
    growDrive: async (id, bytes) =>
      void (await qmp.execute('block_resize', { 'node-name': driveNode(id), size: bytes })),
    kill: async () => {
      killedByUs = true
      killProcess(process, 'SIGKILL')
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
  await removeTraces(record)
  return classifyExit({
    killedByUs: watching.killedByUs(),
    shutdownReason: guest.shutdownReason,
    process,
    consoleTail: logs === undefined ? '' : await consoleTail(logs),
    logTail: logs === undefined ? '' : await logTail(logs.logPath, logs.logFrom),
  })
}

/** What a machine that is dead leaves on the host. */
export async function removeTraces(record: MachineRecord): Promise<void> {
  await Promise.all([removeSockets(record), removeVmCgroup(record)])
}

export async function removeSockets(record: Pick<MachineRecord, 'agentSocket' | 'controlSocket'>): Promise<void> {
  const paths = [record.agentSocket, record.controlSocket, stateDirectory(record)]
  await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true })))
}

function consoleTail({ consolePath, consoleFrom }: MachineLogs): Promise<string> {
  return fileTail(consolePath, { from: consoleFrom, maxBytes: 16 * 1024 })
}
