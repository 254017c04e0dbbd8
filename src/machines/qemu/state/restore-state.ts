import { sendFile } from '../../../wires/index.ts'
import type { MachineRecord, Restore } from '../../driver.ts'
import { type Migrating, migrate } from './migrate.ts'
import { stateSocket } from './state-directory.ts'

/** Brings a QEMU that was started for it to a saved state, in which it is paused. @throws Problem MACHINE_FAILED; what `ramReady` rejects with */
export async function restoreState(
  into: Migrating & { readonly record: MachineRecord },
  restore: Restore,
): Promise<void> {
  if (restore.takeOver === undefined) await restore.ramReady
  const { ours, theirs } = stateSocket(into.record, 'in')
  const send = () => (restore.takeOver === undefined ? sendFile(restore.state, ours) : restore.takeOver.handOver(ours))
  const withRam = restore.takeOver !== undefined
  await migrate(into, { command: 'migrate-incoming', socketPath: theirs, withRam, meanwhile: send })
}
