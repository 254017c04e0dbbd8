import { Problem } from '../../base/index.ts'
import { killProcess, lockFile } from '../../host/index.ts'
import type { Machine, MachineRecord } from '../driver.ts'
import { isAlive } from './await-death.ts'
import { guestWatch } from './guest-watch.ts'
import { qemuMachine, removeTraces } from './qemu-machine.ts'
import { connectWhenUp } from './start-qemu.ts'

/**
 * Takes over a QEMU that another process started, even one that was spawned a moment ago and has no monitor yet.
 *
 * @returns undefined when it is dead; its sockets are removed then
 * @throws Problem MACHINE_FAILED when somebody holds the lock who is not the process of the record, or when its monitor does not answer
 */
export async function adoptQemu(record: MachineRecord, lockPath: string): Promise<Machine | undefined> {
  if (await isDead(lockPath)) {
    await removeTraces(record)
    return undefined
  }
  if (!isAlive(record)) {
    throw new Problem('MACHINE_FAILED', `${lockPath} is held, but not by process ${record.pid} of the record`, {
      hint: 'run: cowshed doctor',
      data: { lockPath, pid: record.pid },
    })
  }
  // Whoever had it before may have been killed while it was to be still.
  killProcess({ pid: record.pid, startTime: record.pidStartTime }, 'SIGCONT')
  const guest = guestWatch()
  const giveUp = new AbortController()
  // There is nobody to connect to once it is dead.
  const watching = setInterval(() => isAlive(record) || giveUp.abort(), 50)
  try {
    const qmp = await connectWhenUp(record.controlSocket, { guest, signal: giveUp.signal })
    return qemuMachine({ record, lockPath, qmp, guest })
  } catch (error) {
    if (!(await isDead(lockPath))) throw error
    await removeTraces(record)
    return undefined
  } finally {
    clearInterval(watching)
  }
}

async function isDead(lockPath: string): Promise<boolean> {
  using lock = await lockFile(lockPath, { mode: 'exclusive' })
  return lock !== undefined
}
