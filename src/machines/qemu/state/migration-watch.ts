import type { QmpEvent } from '../../../wires/index.ts'

export type MigrationEnd = 'completed' | 'failed' | 'cancelled'

/**
 * Hears how a migration ends, which is how QEMU saves and loads a state. QEMU tells only when its capability `events` is on.
 *
 * @see QEMU, qapi/migration.json: MIGRATION, MigrationStatus
 */
export class MigrationWatch {
  #settle: (end: MigrationEnd) => void = () => {}

  /** To be asked before the migration begins; one at a time. */
  next(): Promise<MigrationEnd> {
    return new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  onEvent({ name, data }: QmpEvent): void {
    if (name !== 'MIGRATION') return
    const { status } = data
    if (status === 'completed' || status === 'failed' || status === 'cancelled') this.#settle(status)
  }
}
