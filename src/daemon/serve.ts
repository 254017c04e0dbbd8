import { openRooms } from './main.ts'
import { openLog } from './open-log.ts'
import type { NetworkFlags } from './settings/network-settings.ts'
import { startDaemon } from './start-daemon.ts'

export interface Serve {
  readonly dataDirectory: string
  /** The static guest agent, which comes with this installation. */
  readonly agentPath: string
  /** bin/cowshed. */
  readonly launcher: string
  /** Aborted when the daemon is to stop: SIGTERM or SIGINT. */
  readonly signal: AbortSignal
  readonly network?: NetworkFlags
}

/**
 * Runs the daemon in this process until it is told to stop. Logs JSON lines to stderr. SIGHUP makes it read its certificate again.
 *
 * @throws Problem DATA_DIRECTORY_IN_USE, DATA_DIRECTORY_INVALID, PATH_TOO_LONG and whatever the rooms cannot start without
 */
export async function serve({ dataDirectory, agentPath, launcher, signal, network = {} }: Serve): Promise<void> {
  // Disks, consoles and memory of guests are for nobody else to read.
  process.umask(0o077)
  const log = openLog(2)
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'unforeseen error: the daemon ends, its VMs run on')
    process.exit(1)
  })
  // Work that failed with nobody waiting for it has failed; the rest of the daemon is as good as before.
  process.on('unhandledRejection', (error) => log.error({ err: error }, 'work that nobody waited for failed'))
  const daemon = await startDaemon({ dataDirectory, agentPath, launcher, log, openRooms, network })
  process.on('SIGHUP', () => void daemon.reload())
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  await daemon.close()
}
