import { constants } from 'node:fs'
import { access, chmod, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoCode, isProblem, maxSocketPath, Problem, problemFromSystem } from '../../base/index.ts'
import { type DetachedProcess, killProcess, lockFile, spawnDetached, within } from '../../host/index.ts'
import { connectQmp, type QmpConnection } from '../../wires/index.ts'
import type { Machine, MachineRecord, MachineSpec } from '../driver.ts'
import { awaitDeath } from './await-death.ts'
import { confinedCommand } from './confine/confined-command.ts'
import { lendFiles, type SocketPaths } from './confine/lend-files.ts'
import { makeVmCgroup } from './confine/vm-cgroup.ts'
import { vmUser } from './confine/vm-user.ts'
import { type GuestWatch, guestWatch } from './guest-watch.ts'
import { hostArchitecture } from './host-architecture.ts'
import { logTail } from './log-tail.ts'
import { qemuArguments } from './qemu-arguments.ts'
import { type MachineLogs, qemuMachine, removeSockets, removeTraces } from './qemu-machine.ts'
import { checkRestore } from './state/check-restore.ts'
import { identifyState } from './state/identify-state.ts'
import { prepareMemory } from './state/prepare-memory.ts'
import { restoreState } from './state/restore-state.ts'
import { makeStateDirectory } from './state/state-directory.ts'

export interface StartQemu {
  readonly spec: MachineSpec
  readonly driverVersion: string
  readonly clockArguments: readonly string[]
  readonly onSpawned: (record: MachineRecord) => Promise<void>
}

/** How long QEMU may take from its start to an answer of its monitor, in milliseconds. It takes some tens when the host is quiet. */
const monitorMs = 15_000

/** How long it may take to learn that QEMU has ended once its monitor is gone, in milliseconds. */
const endedMs = 1000

/**
 * Starts QEMU with the lock of the machine in its hands, and waits until its monitor answers.
 *
 * @throws Problem MACHINE_FAILED with the end of what QEMU printed; nothing is left then
 */
export async function startQemu(start: StartQemu): Promise<Machine> {
  const { spec, onSpawned } = start
  const sockets = await checkedSockets(spec)
  await checkFiles(spec)
  await checkRestore(spec, start.driverVersion)
  await prepareMemory(spec)
  const logs = await prepareLogs(spec)
  const child = await spawnLocked(start, sockets)
  const record = recordOf(start, sockets, child)
  try {
    await onSpawned(record)
    const guest = guestWatch()
    const qmp = await whileAlive({ child, logs }, async (signal) => {
      const monitor = await connectWhenUp(record.controlSocket, { guest, signal })
      if (spec.restore !== undefined) await restoreState({ qmp: monitor, guest, record }, spec.restore)
      return monitor
    })
    return qemuMachine({ record, lockPath: spec.lockPath, qmp, guest, ended: child.exited, logs })
  } catch (error) {
    killProcess(child, 'SIGKILL')
    await awaitDeath({ record, lockPath: spec.lockPath })
    await removeTraces(record)
    throw error
  }
}

/**
 * QEMU inherits all that it uses: the lock's descriptor, which it keeps as a process keeps any it does not know, its files and its sockets. Ours
 * are closed.
 */
async function spawnLocked(start: StartQemu, sockets: SocketPaths): Promise<Spawned> {
  const { spec, clockArguments } = start
  const architecture = hostArchitecture()
  using lock = await lockFile(spec.lockPath, { mode: 'exclusive', leftToChildren: true })
  if (lock === undefined) {
    throw new Problem('MACHINE_FAILED', `a VM of ${spec.name} runs already: ${spec.lockPath} is held`)
  }
  await removeSockets({ agentSocket: sockets.agent, controlSocket: sockets.qmp })
  const stateDirectory = spec.memory === undefined ? undefined : await makeStateDirectory(sockets.qmp)
  using files = lendFiles(spec, { lock: lock.fd, sockets, stateDirectory })
  const { acceleration, logPath } = spec
  const args = qemuArguments({ ...files, architecture, clockArguments })
  const cgroup = await makeVmCgroup(spec)
  const confined = confinedCommand({ command: architecture.qemu, args, acceleration, cgroup })
  const child = await spawnDetached({ ...confined, logPath, inherit: files.inherit })
  return { ...child, explain: files.explain, stateDirectory: files.stateDirectory }
}

function recordOf(start: StartQemu, sockets: SocketPaths, child: Spawned): MachineRecord {
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
    ...(spec.memory === undefined ? {} : savable(start, child)),
  }
}

function savable({ spec, driverVersion }: StartQemu, { stateDirectory }: Spawned): Partial<MachineRecord> {
  return { memory: spec.memory, identity: identifyState(spec, driverVersion), stateDirectory }
}

interface Spawned extends DetachedProcess {
  explain(text: string): string
  readonly stateDirectory: number | undefined
}

interface Starting {
  readonly child: Spawned
  readonly logs: MachineLogs
}

/** Talks to a QEMU that may end before it has begun; what it printed then is what is wrong. */
async function whileAlive<T>({ child, logs }: Starting, talk: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const giveUp = new AbortController()
  void child.exited.then(() => giveUp.abort())
  try {
    return await talk(giveUp.signal)
  } catch (error) {
    // Whoever talks to it notices before we are told that it has ended.
    const ended = await within(child.exited, endedMs)
    if (ended === undefined) throw error
    const { code, signal } = ended
    const said = await logTail(logs.logPath, logs.logFrom)
    const how = signal === undefined ? `it ended with exit code ${code}` : `it was killed by ${signal}`
    throw new Problem('MACHINE_FAILED', `QEMU did not start: ${said === '' ? how : child.explain(said)}`, {
      cause: error,
    })
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

async function checkedSockets({ runDirectory, id }: MachineSpec): Promise<SocketPaths> {
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
    await letVmmsRead(path)
  }
  for (const { id, path, readOnly } of drives) {
    await access(path, readOnly ? constants.R_OK : constants.R_OK | constants.W_OK).catch((cause: unknown) => {
      throw new Problem('MACHINE_FAILED', `cannot open the ${id} drive: ${path}`, { cause })
    })
  }
}

/** QEMU opens it anew, as its own user; one that was set up before there was such a user is root's alone. */
async function letVmmsRead(path: string): Promise<void> {
  if (vmUser() === undefined || ((await stat(path)).mode & 0o004) !== 0) return
  await chmod(path, 0o644).catch((cause: unknown) => {
    throw new Problem('KERNEL_INVALID', `the user that VMs run as cannot read the guest's kernel: ${path}`, {
      hint: `let it: chmod 644 ${path}`,
      cause,
    })
  })
}

async function checkKvm(): Promise<void> {
  await access('/dev/kvm', constants.R_OK | constants.W_OK).catch((cause: unknown) => {
    const why = errnoCode(cause) === 'ENOENT' ? 'this host has no /dev/kvm' : 'this user may not open /dev/kvm'
    throw new Problem('ACCELERATION_UNAVAILABLE', why, { hint: 'see: cowshed doctor', cause })
  })
}

/** QEMU would make the console readable by everybody. */
async function prepareLogs({ consolePath, logPath }: MachineSpec): Promise<MachineLogs> {
  try {
    await using console = await open(consolePath, 'a', 0o600)
    const log = await stat(logPath).catch(() => undefined)
    return { consolePath, consoleFrom: (await console.stat()).size, logPath, logFrom: log?.size ?? 0 }
  } catch (error) {
    throw problemFromSystem(error, `make the console ${consolePath}`)
  }
}
