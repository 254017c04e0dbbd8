import { spawn } from 'node:child_process'
import { firstLine, killScript } from '../../test/support/node-script.ts'
import { launcher } from './bench-daemon.ts'
import { published } from './programs.ts'

export interface ServeInProcess {
  /** The data directory. */
  readonly data: string
  /** The registry, or a link to it. */
  readonly host: string
  /** Where the block device is to be. */
  readonly socket: string
  /** The boot trace. */
  readonly trace: string
}

/** The image as a user has it served: `cowshed lazy serve`, which is ready when this resolves. It must be built. */
export async function serveInProcess({ data, host, socket, trace }: ServeInProcess): Promise<AsyncDisposable> {
  const command = ['--data', data, 'lazy', 'serve', '--insecure', '--trace', trace, '--nbd', `unix:${socket}`]
  const child = spawn(process.execPath, [launcher, ...command, `${host}/${published}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const end = { [Symbol.asyncDispose]: () => killScript(child) }
  try {
    await firstLine(child)
    return end
  } catch (error) {
    await end[Symbol.asyncDispose]()
    throw error
  }
}
