import { rm, rmdir } from 'node:fs/promises'
import type { Logger } from 'pino'
import { type DataLayout, dataLayout, Problem } from '../base/index.ts'
import type { ServerInfo } from '../contract/index.ts'
import { sweepProbes, sweepStaging } from '../host/index.ts'
import { holdDataDirectory } from './hold-data-directory.ts'
import { closeHttpServer } from './http/close-http-server.ts'
import { createHttpServer } from './http/create-http-server.ts'
import { checkSocketPath, listenOnSocket } from './http/listen-on-socket.ts'
import { type Network, openNetwork } from './network/open-network.ts'
import type { Rooms } from './rooms.ts'
import { allHandlers } from './routes/all-handlers.ts'
import { makeRunDirectory } from './run-directory.ts'
import { type NetworkFlags, networkSettings } from './settings/network-settings.ts'
import type { Settings } from './settings/settings.ts'

export interface OpenRooms {
  readonly layout: DataLayout
  readonly runDirectory: string
  /** The static guest agent, for setup. */
  readonly agentPath: string
  /** bin/cowshed, for what is to outlive the daemon. */
  readonly launcher: string
  /** When the disk is looked at before anybody asks: see UsageOptions. */
  readonly lookAheadMs?: number
}

export interface OpenedRooms {
  readonly settings: Settings
  readonly rooms: Rooms
  /** Lets go of everything; VMs keep running. */
  close(): Promise<void>
}

export interface StartDaemon {
  readonly dataDirectory: string
  readonly agentPath: string
  readonly launcher: string
  readonly log: Logger
  readonly openRooms: (options: OpenRooms) => Promise<OpenedRooms>
  /** What the command line says of the network; the rest is in config.toml. */
  readonly network?: NetworkFlags
}

export interface Daemon {
  readonly layout: DataLayout
  /** Where it listens on the network, if it is to. */
  network(): ServerInfo['network']
  /** Reads the certificate again. */
  reload(): Promise<void>
  /** Ends requests within a few seconds, lets go of the VMs without stopping them, and gives up the data directory. Idempotent. */
  close(): Promise<void>
}

/** How long requests may take to end once they have been told to. */
const graceMs = 10_000

/** Sheds that start with the daemon, and who has started it to ask at once, come first. */
const lookAheadMs = 5_000

/**
 * Takes a data directory, opens all rooms on it and answers on its socket.
 *
 * Whatever fails, everything that was opened before is closed again.
 */
export async function startDaemon({
  dataDirectory,
  agentPath,
  launcher,
  log,
  openRooms,
  network: flags = {},
}: StartDaemon): Promise<Daemon> {
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
    await sweepProbes(layout.root)
    const opened = await openRooms({ layout, runDirectory, agentPath, launcher, lookAheadMs })
    undo.push(() => opened.close())
    opened.rooms.events.subscribe(({ type, subject, message, data }) => log.info({ type, subject, ...data }, message))
    const stopping = new AbortController()
    const networked = networkSettings(opened.settings, flags)
    let network: Network | undefined
    const { app, sockets } = createHttpServer({
      handlers: allHandlers(opened.rooms, { network: () => network?.info() }),
      log,
      stopping: stopping.signal,
    })
    undo.push(async () => {
      stopping.abort(new Problem('CANCELLED', 'the daemon is stopping'))
      await Promise.all([closeHttpServer({ app, socketsDone: sockets.done, graceMs }), network?.close(graceMs)])
      await rm(layout.socket, { force: true })
    })
    await listenOnSocket(app, layout.socket)
    if (networked !== undefined) {
      network = await openNetwork({ settings: networked, tokens: opened.rooms.tokens, app, sockets, log })
    }
    log.info({ data: layout.root, socket: layout.socket, pid: process.pid }, 'listening')
    return {
      layout,
      network: () => network?.info(),
      reload: async () => await network?.reload(),
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
