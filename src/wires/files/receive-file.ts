import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { type Problem, problemFromSystem } from '../../base/index.ts'
import { listenOn } from './listen-on.ts'

export interface Receiving {
  /** Resolves when whoever connected has sent all, and it is written. */
  readonly received: Promise<void>
  /** Why it cannot be written. The sender is hung up on then, which is all that it knows. */
  readonly problem: Problem | undefined
  /** Removes the file again, if it is ours. */
  discard(): Promise<void>
  /** Whoever has not connected by now does so no more. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Listens on a unix socket for one sender, whose bytes become a new file (mode 0600).
 *
 * @throws Problem IO_FAILED when nobody can listen there
 */
export async function receiveFile(socketPath: string, path: string): Promise<Receiving> {
  const server = createServer()
  let problem: Problem | undefined
  let isOurs = false
  const received = new Promise<void>((resolve, reject) => {
    server.once('connection', (socket) => {
      server.close()
      const file = createWriteStream(path, { flags: 'wx', mode: 0o600 })
      file.once('open', () => {
        isOurs = true
      })
      file.once('error', (error) => {
        problem = problemFromSystem(error, `write ${path}`)
      })
      pipeline(socket, file).then(resolve, (error: unknown) => reject(problem ?? error))
    })
  })
  // Whoever gives up on the sender does not wait for this.
  received.catch(() => undefined)
  await listenOn(server, socketPath)
  return {
    received,
    get problem() {
      return problem
    },
    discard: async () => {
      if (isOurs) await rm(path, { force: true })
    },
    [Symbol.asyncDispose]: async () => {
      server.close()
      await rm(socketPath, { force: true })
    },
  }
}
