import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { freePort } from '../../../test/support/free-port.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { type TestAuthority, testAuthority } from '../../../test/support/test-authority.ts'
import { openRooms } from '../../daemon/main.ts'
import { type Daemon, startDaemon } from '../../daemon/start-daemon.ts'
import { type RunOptions, type RunResult, runCommand } from '../cli.testkit.ts'

export interface FleetDaemon {
  readonly daemon: Daemon
  readonly data: string
  readonly url: string
  /** Of a token that may do everything. */
  readonly token: string
  /** A command line on the server itself. */
  readonly run: (...words: string[]) => Promise<RunResult>
}

/** A person with a configuration of their own, an authority, and real daemons behind TLS, all on this host and without VMs. */
export interface Fleet extends AsyncDisposable {
  readonly home: string
  readonly authority: TestAuthority
  readonly start: (name: string) => Promise<FleetDaemon>
  /** The person's command line. `local` of it is a data directory without a daemon. */
  readonly run: (words: readonly string[], options?: RunOptions) => Promise<RunResult>
  /** A server that is none of ours, over http on this host. */
  readonly impostor: (listener: RequestListener) => Promise<string>
}

export async function openFleet(): Promise<Fleet> {
  const directory = await temporaryDirectory()
  const authority = await testAuthority()
  const home = join(directory.path, 'home')
  await mkdir(home)
  const undo: (() => Promise<unknown>)[] = []
  const run: Fleet['run'] = (words, { env, ...options } = {}) =>
    runCommand(join(directory.path, 'local'), words, {
      home,
      // Of root the data directory would be the one of this host, where a daemon may run.
      uid: 1000,
      cwd: directory.path,
      env: { COWSHED_DATA: '', XDG_DATA_HOME: directory.path, ...env },
      ...options,
    })
  return {
    home,
    authority,
    run,
    async start(name) {
      const data = join(directory.path, name)
      const { cert, key } = await authority.issue(name)
      const port = await freePort()
      const daemon = await startDaemon({
        dataDirectory: data,
        agentPath: '/nonexistent',
        launcher: '/nonexistent',
        log: pino({ level: 'silent' }),
        openRooms,
        network: { listen: `127.0.0.1:${port}`, tlsCert: cert, tlsKey: key },
      })
      undo.push(() => daemon.close())
      const onServer = (...words: string[]) => runCommand(data, words, { home })
      const token = (await onServer('token', 'create', '--name', 'first')).stdout.trim()
      await writeFile(join(home, `${name}.token`), token)
      return { daemon, data, url: `https://127.0.0.1:${port}`, token, run: onServer }
    },
    async impostor(listener) {
      const server = createServer(listener)
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      undo.push(async () => {
        server.closeAllConnections()
        server.close()
      })
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    },
    async [Symbol.asyncDispose]() {
      for (const step of undo.reverse()) await step()
      await authority[Symbol.asyncDispose]()
      await directory[Symbol.asyncDispose]()
    },
  }
}
