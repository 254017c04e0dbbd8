import { chown, mkdir, rm } from 'node:fs/promises'
import { problemFromSystem } from '../../../base/index.ts'
import type { MachineRecord } from '../../driver.ts'
import { vmUser } from '../confine/vm-user.ts'

type Reachable = Pick<MachineRecord, 'controlSocket' | 'stateDirectory'>

/** A socket by the name that it has for us, and for QEMU. */
export interface StateSocket {
  readonly ours: string
  readonly theirs: string
}

/** Makes the directory where a machine's state goes out and comes in, beside its monitor: QEMU can reach it by its descriptor alone. @throws Problem NO_SPACE, IO_FAILED */
export async function makeStateDirectory(controlSocket: string): Promise<string> {
  const path = stateDirectory({ controlSocket })
  try {
    await rm(path, { recursive: true, force: true })
    await mkdir(path, { mode: 0o700 })
    await giveToVm(path)
    return path
  } catch (error) {
    throw problemFromSystem(error, `make ${path}`)
  }
}

export function stateDirectory({ controlSocket }: Pick<MachineRecord, 'controlSocket'>): string {
  return controlSocket.replace(/\.qmp$/, '.state')
}

/** Two names: QEMU removes the socket that it listened on when it is done with it, at some time after. */
export function stateSocket(record: Reachable, direction: 'in' | 'out'): StateSocket {
  return {
    ours: `${stateDirectory(record)}/${direction}`,
    theirs: `/proc/self/fd/${record.stateDirectory}/${direction}`,
  }
}

/** Lets QEMU use what we made for it, where it runs as a user of its own. Everything is below directories that this user cannot enter. */
export async function giveToVm(path: string): Promise<void> {
  const user = vmUser()
  if (user !== undefined) await chown(path, user.uid, user.gid)
}
