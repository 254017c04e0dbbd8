import type { QmpEvent } from '../../wires/index.ts'

/** Remembers why QEMU says that it ends. A panic is followed by a shutdown; the first word counts. */
export interface ShutdownWatch {
  readonly reason: string | undefined
  onEvent(event: QmpEvent): void
}

export function shutdownWatch(): ShutdownWatch {
  let reason: string | undefined
  return {
    get reason() {
      return reason
    },
    onEvent: ({ name, data }) => {
      if (name === 'GUEST_PANICKED') reason ??= 'guest-panic'
      if (name === 'SHUTDOWN') reason ??= typeof data.reason === 'string' ? data.reason : 'unknown'
    },
  }
}
