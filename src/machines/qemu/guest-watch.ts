import type { QmpEvent } from '../../wires/index.ts'
import { MigrationWatch } from './state/migration-watch.ts'

/** What QEMU has told of its guest. */
export interface GuestWatch {
  /** Why QEMU says that it ends. A panic is followed by a shutdown; the first word counts. */
  readonly shutdownReason: string | undefined
  /** Settles when the guest has closed the agent's port. It is opened once in a boot, by the agent. */
  readonly agentGone: Promise<void>
  readonly migration: MigrationWatch
  onEvent(event: QmpEvent): void
}

/** The monitor's name of the agent's port: without one QEMU says nothing about it. */
export const agentPortId = 'agent-port'

export function guestWatch(): GuestWatch {
  let shutdownReason: string | undefined
  let agentHasGone = () => {}
  const migration = new MigrationWatch()
  const agentGone = new Promise<void>((resolve) => {
    agentHasGone = resolve
  })
  return {
    get shutdownReason() {
      return shutdownReason
    },
    agentGone,
    migration,
    onEvent: (event) => {
      const { name, data } = event
      migration.onEvent(event)
      if (name === 'GUEST_PANICKED') shutdownReason ??= 'guest-panic'
      if (name === 'SHUTDOWN') shutdownReason ??= typeof data.reason === 'string' ? data.reason : 'unknown'
      if (name === 'VSERPORT_CHANGE' && data.id === agentPortId && data.open === false) agentHasGone()
    },
  }
}
