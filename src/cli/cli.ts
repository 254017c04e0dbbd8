import { type DataLayout, dataLayout, defaultDataDirectory, Problem, printableJson } from '../base/index.ts'
import type { LazyReport, ProgressEvent, ServedLazy } from '../contract/index.ts'
import type { ApiClient } from './client/api-client.ts'
import { type Connection, localConnection, networkConnection } from './client/connection.ts'
import { isListening } from './client/is-listening.ts'
import { unixTransport } from './client/transport.ts'
import { type ProgressMode, progressDisplay } from './progress/progress-display.ts'
import { chooseServer } from './servers/choose-server.ts'
import { configDirectory } from './servers/config-directory.ts'
import { localName, type ServerBook, serverBook } from './servers/server-book.ts'
import type { RemoteServer } from './servers/server-record.ts'
import type { Terminal } from './terminal/terminal.ts'

/** Options that every command has. */
export interface CommonOptions {
  readonly data?: string | undefined
  /** A name, or a URL. */
  readonly server?: string | undefined
  readonly json?: boolean | undefined
  readonly progress?: ProgressMode | undefined
}

export interface Serve {
  readonly dataDirectory: string
  readonly signal: AbortSignal
  readonly network: {
    readonly listen?: string
    /** Absolute. */
    readonly tlsCert?: string
    readonly tlsKey?: string
    readonly allowPlainHttp?: boolean
  }
}

export interface Surroundings {
  readonly terminal: Terminal
  /** bin/cowshed, to start a daemon with. */
  readonly launcher: string
  /** Runs the daemon in this process until it is told to stop. */
  readonly serve: (options: Serve) => Promise<void>
  /** Serves a published image as a block device or as a file in this process, until it is told to stop. */
  readonly serveLazy: (options: ServeLazy) => Promise<LazyReport>
  /** Puts the data directory onto a filesystem of its own, in this process: a daemon would be in the way. */
  readonly setUpBtrfs: (options: BtrfsOptions) => Promise<BtrfsReply>
  readonly uid: number
  readonly home: string
  readonly cwd: string
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Takes signals for a command that passes them on, in place of aborting. @returns how to give them back */
  readonly takeSignals: (listener: (signal: 'SIGINT' | 'SIGTERM') => void) => () => void
}

export interface ServeLazy {
  readonly dataDirectory: string
  readonly reference: string
  /** `unix:PATH`, absolute, or `tcp:HOST:PORT`. */
  readonly nbd?: string | undefined
  /** Absolute. */
  readonly fuse?: string | undefined
  readonly insecure: boolean
  /** Undefined: reads wait for as long as it takes. */
  readonly failAfterMs: number | undefined
  /** Of a boot trace; that of any boot unless told. */
  readonly trace?: string | undefined
  readonly fill: boolean
  readonly fillBytesPerSecond?: number | undefined
  readonly untilUnused: boolean
  readonly signal: AbortSignal
  readonly onReady: (served: ServedLazy) => void
  readonly onNotice: (message: string) => void
}

export interface BtrfsOptions {
  readonly dataDirectory: string
  readonly bytes: number
  /** What is to mount it when the host boots. */
  readonly atBoot?: 'fstab' | 'systemd' | undefined
}

export interface BtrfsReply {
  readonly data_directory: string
  /** The file that the filesystem is in. */
  readonly file: string
  readonly bytes: number
  readonly outcome: 'created' | 'mounted' | 'grown' | 'unchanged'
  /** What was written for the next boot. */
  readonly boot_entry?: string
}

/** What a command works with. */
export interface Cli extends Surroundings {
  readonly layout: DataLayout
  /** What the command line says of whom to talk to. */
  readonly asked: Pick<CommonOptions, 'server' | 'data'>
  readonly json: boolean
  /** The daemon that the command is about. Of the one on this host: the first call starts it when there is none. */
  readonly api: ApiClient
  /** The same for what is no ordinary call. Starts nothing. */
  readonly connection: () => Promise<Connection>
  /** Whether asking it would start no daemon. */
  readonly isRunning: () => Promise<boolean>
  readonly servers: ServerBook
  /** A conversation with a server of its own. */
  readonly connectTo: (server: RemoteServer) => Promise<Connection>
  /** Every server that was added, and the daemon of this host if it runs: for a command that asks them all. */
  readonly everyServer: () => Promise<FleetServer[]>
  /** Writes data to stdout. */
  print(text: string): void
  printJson(value: unknown): void
  /** Says something to the person, on stderr. */
  notice(text: string): void
  /** Runs long work while showing its progress. */
  withProgress<T>(work: (onProgress: (progress: ProgressEvent) => void) => Promise<T>): Promise<T>
  close(): void
}

export interface FleetServer {
  readonly name: string
  /** @throws Problem when what is kept of it cannot be used */
  readonly connect: () => Promise<Connection>
}

export function openCli(surroundings: Surroundings, options: CommonOptions): Cli {
  const { terminal, uid, home, signal } = surroundings
  const { env } = terminal
  const root = absolute(options.data ?? defaultDataDirectory({ env, uid, home }), surroundings.cwd)
  const layout = dataLayout(root)
  const notice = (text: string) => void terminal.stderr.write(`${text}\n`)
  const servers = serverBook(configDirectory({ env, home }))
  const opened: Connection[] = []
  const keep = (connection: Connection) => {
    opened.push(connection)
    return connection
  }
  const local = () =>
    keep(
      localConnection({
        socketPath: layout.socket,
        transport: unixTransport(layout.socket),
        ready: once(() => ensureDaemon({ ...surroundings, layout, notice })),
        signal,
      }),
    )
  const connectTo = async (server: RemoteServer) => keep(await networkConnection(server, signal))
  const connection = once(async () => {
    const server = await chooseServer({ ...options, env, book: servers, readCa })
    return server === undefined ? local() : await connectTo(server)
  })

  return {
    ...surroundings,
    layout,
    asked: options,
    api: whenConnected(connection),
    connection,
    connectTo,
    servers,
    notice,
    json: options.json === true,
    isRunning: async () => (await connection()).server !== undefined || (await isListening(layout.socket)),
    async everyServer() {
      const added = (await servers.names()).map((name) => ({
        name,
        connect: async () => await connectTo(await servers.get(name)),
      }))
      return (await isListening(layout.socket)) ? [{ name: localName, connect: async () => local() }, ...added] : added
    },
    print: (text) => void terminal.stdout.write(text),
    printJson: (value) => void terminal.stdout.write(`${printableJson(JSON.stringify(value, null, 2))}\n`),
    async withProgress(work) {
      const display = progressDisplay({ output: terminal.stderr, mode: options.progress ?? 'auto' })
      try {
        return await work(display.report)
      } finally {
        display.end()
      }
    },
    close() {
      for (const one of opened) one.close()
    },
  }
}

/** Connects with the first call. */
function whenConnected(connection: () => Promise<Connection>): ApiClient {
  return {
    call: async (route, options) => await (await connection()).api.call(route, options),
    download: async (route, options) => await (await connection()).api.download(route, options),
    async *events(route, options) {
      yield* (await connection()).api.events(route, options)
    },
  }
}

async function readCa(path: string): Promise<string> {
  return await (await import('./servers/read-ca.ts')).readCa(path)
}

interface EnsureDaemon extends Pick<Surroundings, 'launcher' | 'signal'> {
  readonly layout: DataLayout
  readonly notice: (text: string) => void
}

async function ensureDaemon({ layout, launcher, signal, notice }: EnsureDaemon): Promise<void> {
  if (await isListening(layout.socket)) return
  // Most calls find a daemon: what starts one is loaded only for those that do not.
  const { launchDaemon } = await import('./client/launch-daemon.ts')
  await launchDaemon({ layout, launcher, signal })
  notice(`started a daemon for ${layout.root} (its log: ${layout.daemonLog})`)
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= work()
    return result
  }
}

function absolute(path: string, cwd: string): string {
  if (path === '') throw new Problem('INVALID_REQUEST', 'the data directory has an empty name', { hint: '--data DIR' })
  const joined = path.startsWith('/') ? path : `${cwd}/${path}`
  return joined.length > 1 ? joined.replace(/\/+$/, '') : joined
}
