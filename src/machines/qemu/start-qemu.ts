import { constants } from 'node:fs'
import { access, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoCode, isProblem, maxSocketPath, Problem } from '../../base/index.ts'
import { type DetachedProcess, killProcess, lockFile, spawnDetached } from '../../host/index.ts'
import { connectQmp, type QmpConnection } from '../../wires/index.ts'
import type { Machine, MachineRecord, MachineSpec } from '../driver.ts'
import { awaitDeath } from './await-death.ts'
import { type GuestWatch, guestWatch } from './guest-watch.ts'
import { hostArchitecture } from './host-architecture.ts'
import { logTail } from './log-tail.ts'
import { type QemuSockets, qemuArguments } from './qemu-arguments.ts'
import { type MachineLogs, qemuMachine, removeSockets } from './qemu-machine.ts'

export interface StartQemu {
  readonly spec: MachineSpec
  readonly driverVersion: string
  readonly clockArguments: readonly string[]
  readonly onSpawned: (record: MachineRecord) => Promise<void>
}

/** How long QEMU may take from its start to an answer of its monitor, in milliseconds. It takes some tens when the host is quiet. */
const monitorMs = 15_000

/**
 * Starts QEMU with the lock of the machine in its hands, and waits until its monitor answers.
 *
 * @throws Problem MACHINE_FAILED with the end of what QEMU printed; nothing is left then
 */
export async function startQemu(start: StartQemu): Promise<Machine> {
  const { spec, onSpawned } = start
  const sockets = await checkedSockets(spec)
  await checkFiles(spec)
  const logs = await prepareLogs(spec)
  const child = await spawnLocked(start, sockets)
  const record = recordOf(start, sockets, child)
  try {
    await onSpawned(record)
    const guest = guestWatch()
    const qmp = await monitorOf(record, { child, logs, guest })
    return qemuMachine({ record, lockPath: spec.lockPath, qmp, guest, ended: child.exited, logs })
  } catch (error) {
    killProcess(child, 'SIGKILL')
    await awaitDeath({ record, lockPath: spec.lockPath })
    await removeSockets(record)
    throw error
  }
}

/** QEMU inherits the lock's descriptor and keeps it, as a process keeps any it does not know; ours is closed. */
async function spawnLocked(start: StartQemu, sockets: QemuSockets): Promise<DetachedProcess> {
  const { spec, clockArguments } = start
  const architecture = hostArchitecture()
  const args = qemuArguments({ spec, architecture, sockets, clockArguments })
  using lock = await lockFile(spec.lockPath, { mode: 'exclusive' })
  if (lock === undefined) {
    throw new Problem('MACHINE_FAILED', `a VM of ${spec.name} runs already: ${spec.lockPath} is held`)
  }
  await removeSockets({ agentSocket: sockets.agent, controlSocket: sockets.qmp })
  return await spawnDetached({ command: architecture.qemu, args, logPath: spec.logPath, inherit: [lock.fd] })
}

function recordOf(start: StartQemu, sockets: QemuSockets, child: DetachedProcess): MachineRecord {
  const { spec, driverVersion } = start
  return {
    driver: 'qemu',
    id: spec.id,
    pid: child.pid,
    pidStartTime: child.startTime,
    agentSocket: sockets.agent,
    controlSocket: sockets.qmp,
    agentKey: spec.agentKey,
    acceleration: spec.acceleration,
    driverVersion,
  }
}

interface Starting {
  readonly child: DetachedProcess
  readonly logs: MachineLogs
  readonly guest: GuestWatch
}

async function monitorOf(record: MachineRecord, { child, logs, guest }: Starting): Promise<QmpConnection> {
  const giveUp = new AbortController()
  void child.exited.then(() => giveUp.abort())
  try {
    return await connectWhenUp(record.controlSocket, { guest, signal: giveUp.signal })
  } catch (error) {
    if (!giveUp.signal.aborted) throw error
    const { code, signal } = await child.exited
    const said = await logTail(logs.logPath, logs.logFrom)
    const how = signal === undefined ? `it ended with exit code ${code}` : `it was killed by ${signal}`
    throw new Problem('MACHINE_FAILED', `QEMU did not start: ${said === '' ? how : said}`, { cause: error })
  }
}

/** The socket appears when QEMU is up; until then there is nothing to connect to. */
export async function connectWhenUp(
  path: string,
  { guest, signal }: { guest: GuestWatch; signal: AbortSignal },
): Promise<QmpConnection> {
  const deadline = Date.now() + monitorMs
  for (;;) {
    try {
      return await connectQmp(path, { signal, onEvent: (event) => guest.onEvent(event) })
    } catch (error) {
      if (signal.aborted || !isProblem(error, 'QMP_FAILED')) throw error
      if (Date.now() > deadline) {
        throw new Problem('MACHINE_FAILED', `QEMU's monitor did not answer in ${monitorMs / 1000} s`, { cause: error })
      }
      await sleep(2)
    }
  }
}

async function checkedSockets({ runDirectory, id }: MachineSpec): Promise<QemuSockets> {
  const sockets = { qmp: join(runDirectory, `${id}.qmp`), agent: join(runDirectory, `${id}.agent`) }
  for (const path of Object.values(sockets)) {
    if (Buffer.byteLength(path) > maxSocketPath) {
      throw new Problem('PATH_TOO_LONG', `a socket's path may have ${maxSocketPath} bytes: ${path}`, {
        hint: 'use a shorter run directory',
      })
    }
  }
  return sockets
}

/** QEMU would say it too, but not as clearly. */
async function checkFiles({ kernel, drives, acceleration }: MachineSpec): Promise<void> {
  if (acceleration === 'kvm') await checkKvm()
  for (const path of [kernel.vmlinuz, kernel.initrd]) {
    await access(path, constants.R_OK).catch((cause: unknown) => {
      throw new Problem('KERNEL_INVALID', `cannot read the guest's kernel: ${path}`, {
        hint: 'run: cowshed setup',
        cause,
      })
    })
  }
  for (const { id, path, readOnly } of drives) {
    await access(path, readOnly ? constants.R_OK : constants.R_OK | constants.W_OK).catch((cause: unknown) => {
      throw new Problem('MACHINE_FAILED', `cannot open the ${id} drive: ${path}`, { cause })
    })
  }
}

async function checkKvm(): Promise<void> {
  await access('/dev/kvm', constants.R_OK | constants.W_OK).catch((cause: unknown) => {
    const why = errnoCode(cause) === 'ENOENT' ? 'this host has no /dev/kvm' : 'this user may not open /dev/kvm'
    throw new Problem('ACCELERATION_UNAVAILABLE', why, { hint: 'see: cowshed doctor', cause })
  })
}

/** QEMU would make the console readable by everybody. */
async function prepareLogs({ consolePath, logPath }: MachineSpec): Promise<MachineLogs> {
  await using console = await open(consolePath, 'a', 0o600)
  const log = await stat(logPath).catch(() => undefined)
  return { consolePath, consoleFrom: (await console.stat()).size, logPath, logFrom: log?.size ?? 0 }
}
