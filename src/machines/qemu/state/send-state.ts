import { Problem } from '../../../base/index.ts'
import { asObject } from '../../../wires/index.ts'
import { type Migrating, migrate } from './migrate.ts'

export interface SendState {
  /** Somebody listens there. */
  readonly socketPath: string
  readonly withRam: boolean
}

/** Sends the state of a paused QEMU to a unix socket. It stays paused. @throws Problem MACHINE_FAILED */
export async function sendState(from: Migrating, to: SendState): Promise<void> {
  await ensurePaused(from)
  await migrate(from, { command: 'migrate', ...to })
}

/** After a migration QEMU does not begin another one before it has run again, be it for a moment. */
async function ensurePaused({ qmp }: Migrating): Promise<void> {
  const { status } = asObject(await qmp.execute('query-status'))
  if (status === 'paused') return
  if (status !== 'postmigrate') {
    throw new Problem('MACHINE_FAILED', `only a paused VM's state can be saved, and this one is ${String(status)}`)
  }
  await qmp.execute('cont')
  await qmp.execute('stop')
}
