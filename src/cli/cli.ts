import { type DataLayout, dataLayout, defaultDataDirectory, Problem, printableJson } from '../base/index.ts'
import type { ProgressEvent } from '../contract/index.ts'
import { type ApiClient, apiClient } from './client/api-client.ts'
import { isListening } from './client/is-listening.ts'
import { suggestNames } from './client/suggest-names.ts'
import { type Transport, unixTransport } from './client/transport.ts'
import { type ProgressMode, progressDisplay } from './progress/progress-display.ts'
import type { Terminal } from './terminal/terminal.ts'

/** Options that every command has. */
export interface CommonOptions {
  readonly data?: string | undefined
  readonly json?: boolean | undefined
  readonly progress?: ProgressMode | undefined
}

export interface Surroundings {
  readonly terminal: Terminal
  /** bin/cowshed, to start a daemon with. */
  readonly launcher: string
  /** Runs the daemon in this process until it is told to stop. */
  readonly serve: (options: { readonly dataDirectory: string; readonly signal: AbortSignal }) => Promise<void>
  readonly uid: number
  readonly home: string
  readonly cwd: string
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Takes signals for a command that passes them on, in place of aborting. @returns how to give them back */
  readonly takeSignals: (listener: (signal: 'SIGINT' | 'SIGTERM') => void) => () => void
}

/** What a command works with. */
export interface Cli extends Surroundings {
  readonly layout: DataLayout
  readonly json: boolean
  /** The daemon of the data directory; the first call starts one when there is none. */
  readonly api: ApiClient
  /** The same for what is no ordinary call; undefined when no daemon runs and none may be started. */
  readonly socketPath: (options: { readonly start: boolean }) => Promise<string | undefined>
  /** Writes data to stdout. */
  print(text: string): void
  printJson(value: unknown): void
  /** Says something to the person, on stderr. */
  notice(text: string): void
  /** Runs long work while showing its progress. */
  withProgress<T>(work: (onProgress: (progress: ProgressEvent) => void) => Promise<T>): Promise<T>
  close(): void
}

export function openCli(surroundings: Surroundings, options: CommonOptions): Cli {
  const { terminal, uid, home, signal } = surroundings
  const root = absolute(options.data ?? defaultDataDirectory({ env: terminal.env, uid, home }), surroundings.cwd)
  const layout = dataLayout(root)
  const notice = (text: string) => void terminal.stderr.write(`${text}\n`)
  const transport = unixTransport(layout.socket)
  const ready = once(() => ensureDaemon({ ...surroundings, layout, notice }))
  const starting: Transport = async (request) => {
    await ready()
    return transport({ ...request, signal: request.signal ?? signal })
  }
  const api = suggestNames(apiClient(starting))

  return {
    ...surroundings,
    layout,
    api,
    notice,
    json: options.json === true,
    async socketPath({ start }) {
      if (start) await ready()
      return start || (await isListening(layout.socket)) ? layout.socket : undefined
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
    close: () => transport.close(),
  }
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
