import { Problem } from '../../../base/index.ts'
import { relayStream } from '../../../wires/index.ts'
import type { MachineRecord } from '../../driver.ts'
import type { Migrating } from './migrate.ts'
import { sendState } from './send-state.ts'
import { giveToVm, stateSocket } from './state-directory.ts'

/** Sends all of a paused QEMU to where another one listens. It reaches nothing of the other's, so we are between them. @see Machine.handOver */
export async function handOver(
  from: Migrating & { readonly record: MachineRecord },
  socketPath: string,
): Promise<void> {
  if (from.record.memory === undefined) {
    throw new Problem('MACHINE_FAILED', 'only a VM whose RAM was a file when it began can be handed over')
  }
  const { ours, theirs } = stateSocket(from.record, 'out')
  await using _relay = await relayStream(ours, socketPath)
  await giveToVm(ours)
  await sendState(from, { socketPath: theirs, withRam: true })
}
