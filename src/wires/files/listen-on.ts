import { rm } from 'node:fs/promises'
import type { Server } from 'node:net'
import { problemFromSystem } from '../../base/index.ts'

/** Has a server listen on a unix socket, in the place of what is there. @throws Problem IO_FAILED */
export async function listenOn(server: Server, path: string): Promise<void> {
  try {
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  } catch (error) {
    throw problemFromSystem(error, `listen on ${path}`)
  }
}
