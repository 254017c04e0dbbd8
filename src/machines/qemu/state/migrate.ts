import { setTimeout as sleep } from 'node:timers/promises'
import { Problem, printable } from '../../../base/index.ts'
import { asObject, type QmpConnection } from '../../../wires/index.ts'
import type { GuestWatch } from '../guest-watch.ts'

/** Who takes part in a migration. */
export interface Migrating {
  readonly qmp: QmpConnection
  readonly guest: GuestWatch
}

export interface Migrate {
  readonly command: 'migrate' | 'migrate-incoming'
  readonly socketPath: string
  /** Else only RAM that no file has. Both ends must say the same. */
  readonly withRam: boolean
  /** What has to be done once QEMU has taken the command. */
  readonly meanwhile?: () => Promise<void>
}

/**
 * One end of a migration: QEMU connects to a unix socket and sends its state, or listens on one and takes it.
 *
 * @throws Problem MACHINE_FAILED with QEMU's reason; QMP_FAILED when it hangs; whatever `meanwhile` throws
 */
export async function migrate({ qmp, guest }: Migrating, given: Migrate): Promise<void> {
  const { command, socketPath, withRam, meanwhile } = given
  await qmp.execute('migrate-set-capabilities', {
    capabilities: [
      { capability: 'x-ignore-shared', state: !withRam },
      { capability: 'events', state: true },
    ],
  })
  // By default it holds itself back for a network's sake.
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': fast })
  const ended = guest.migration.next()
  await qmp.execute(command, { uri: `unix:${socketPath}` })
  const over = new AbortController()
  const end = Promise.race([ended, qmp.closed.then(() => 'gone' as const), silence(qmp, over.signal)])
  const failed = end.then(async (how) => {
    if (how !== 'completed') throw notMigrated(command, how === 'gone' ? 'it has ended' : await reason(qmp))
  })
  try {
    await Promise.all([failed, meanwhile?.()])
  } finally {
    over.abort()
  }
}

/** How often it is looked whether QEMU is there still while it migrates, in milliseconds. */
const lookMs = 5000

/** However long a migration takes, QEMU answers meanwhile: rejects when it does not, for a QEMU that hangs does not end it either. */
async function silence(qmp: QmpConnection, over: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(lookMs, undefined, { signal: over })
    await qmp.execute('query-migrate')
  }
}

/** Bytes a second: more than any host has. */
const fast = 2 ** 40

async function reason(qmp: QmpConnection): Promise<string> {
  const { 'error-desc': said } = asObject(await qmp.execute('query-migrate').catch(() => ({})))
  return typeof said === 'string' ? printable(said) : 'it does not say why'
}

function notMigrated(command: Migrate['command'], why: string): Problem {
  const what = command === 'migrate' ? 'save its state' : 'go on from the saved state'
  return new Problem('MACHINE_FAILED', `QEMU could not ${what}: ${why}`)
}
