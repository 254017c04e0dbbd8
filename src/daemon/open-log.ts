import { type Logger, pino } from 'pino'

/** What could not be written yet, in bytes: what is said beyond that, while there is no space, is lost. */
const keptBytes = 1 << 20

/** The daemon's own log, JSON lines. A full disk costs lines, never the daemon: stopping and deleting sheds is what gets space back. */
export function openLog(fd: number): Logger {
  const destination = pino.destination({ fd, sync: true, maxLength: keptBytes })
  // It keeps what it could not write, and tries again with the next line.
  destination.on('error', () => undefined)
  return pino({ base: null }, destination)
}
