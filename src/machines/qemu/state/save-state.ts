import { Problem } from '../../../base/index.ts'
import { receiveFile } from '../../../wires/index.ts'
import type { MachineRecord } from '../../driver.ts'
import type { Migrating } from './migrate.ts'
import { sendState } from './send-state.ts'
import { giveToVm, stateSocket } from './state-directory.ts'

/**
 * Writes the state of a QEMU's devices to a new file. QEMU may start no program to write it and open no file, so it connects to us.
 *
 * @see Machine.saveState
 */
export async function saveState(from: Migrating & { readonly record: MachineRecord }, path: string): Promise<void> {
  if (from.record.memory?.mapping !== 'shared') {
    throw new Problem('MACHINE_FAILED', 'only of a VM whose RAM is a file can the state be saved without it')
  }
  const { ours, theirs } = stateSocket(from.record, 'out')
  await using receiver = await receiveFile(ours, path)
  try {
    await giveToVm(ours)
    await sendState(from, { socketPath: theirs, withRam: false })
    await receiver.received
  } catch (error) {
    await receiver.discard()
    throw receiver.problem ?? error
  }
}
