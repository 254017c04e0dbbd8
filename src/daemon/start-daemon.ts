import { rm, rmdir } from 'node:fs/promises'
import type { Logger } from 'pino'
import { type DataLayout, dataLayout, Problem } from '../base/index.ts'
import { sweepStaging } from '../host/index.ts'
import { holdDataDirectory } from './hold-data-directory.ts'
import { closeHttpServer } from './http/close-http-server.ts'
import { createHttpServer } from './http/create-http-server.ts'
import { checkSocketPath, listenOnSocket } from './http/listen-on-socket.ts'
import type { Rooms } from './rooms.ts'
import { allHandlers } from './routes/all-handlers.ts'
import { makeRunDirectory } from './run-directory.ts'

export interface OpenRooms {
  readonly layout: DataLayout
  readonly runDirectory: string
  /** The static guest agent, for setup. */
  readonly agentPath: string
}

export interface OpenedRooms {
  readonly rooms: Rooms
  /** Lets go of everything; VMs keep running. */
  close(): Promise<void>
}

export interface StartDaemon {
  readonly dataDirectory: string
  readonly agentPath: string
  readonly log: Logger
  readonly openRooms: (options: OpenRooms) => Promise<OpenedRooms>
}

export interface Daemon {
  readonly layout: DataLayout
  /** Ends requests within a few seconds, lets go of the VMs without stopping them, and gives up the data directory. Idempotent. */
  close(): Promise<void>
}

/** How long requests may take to end once they have been told to. */
const graceMs = 10_000

/**
 * Takes a data directory, opens all rooms on it and answers on its socket.
 *
 * Whatever fails, everything that was opened before is closed again.
 */
export async function startDaemon({ dataDirectory, agentPath, log, openRooms }: StartDaemon): Promise<Daemon> {
  const layout = dataLayout(dataDirectory)
  checkSocketPath(layout.socket)
  const undo: (() => Promise<void> | void)[] = []
  const unwind = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    const lock = await holdDataDirectory(layout)
    undo.push(() => lock.release())
    const runDirectory = await makeRunDirectory(layout, { uid: process.geteuid?.() ?? 0, env: process.env })
    // Stays when VMs that run on have their sockets there.
    undo.push(() => rmdir(runDirectory).catch(() => {}))
    // Only now: what is half made belongs to nobody else.
    await sweepStaging(layout)
    const opened = await openRooms({ layout, runDirectory, agentPath })
    undo.push(() => opened.close())
    opened.rooms.events.subscribe(({ type, subject, message, data }) => log.info({ type, subject, ...data }, message))
    const stopping = new AbortController()
    const { app, socketsDone } = createHttpServer({
      handlers: allHandlers(opened.rooms),
      log,
      stopping: stopping.signal,
    })
    undo.push(async () => {
      stopping.abort(new Problem('CANCELLED', 'the daemon is stopping'))
      await closeHttpServer({ app, socketsDone, graceMs })
      await rm(layout.socket, { force: true })
    })
    await listenOnSocket(app, layout.socket)
    log.info({ data: layout.root, socket: layout.socket, pid: process.pid }, 'listening')
    return {
      layout,
      async close() {
        if (undo.length > 0) log.info('stopping; running sheds go on')
        await unwind()
      },
    }
  } catch (error) {
    await unwind()
    throw error
  }
}
