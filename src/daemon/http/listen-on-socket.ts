import { chmod, rm } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { maxSocketPath, Problem, problemFromSystem } from '../../base/index.ts'

/**
 * Listens on a unix socket, mode 0600. A socket file that an earlier daemon left is replaced: the caller holds the data directory, so it is
 * nobody's.
 *
 * @throws Problem PATH_TOO_LONG
 */
export async function listenOnSocket(app: FastifyInstance, path: string): Promise<void> {
  checkSocketPath(path)
  try {
    await rm(path, { force: true })
    await app.listen({ path })
    await chmod(path, 0o600)
  } catch (error) {
    throw problemFromSystem(error, `listen on ${path}`)
  }
}

/** @throws Problem PATH_TOO_LONG; the kernel would silently cut the path off */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes <= maxSocketPath) return
  throw new Problem(
    'PATH_TOO_LONG',
    `the socket ${path} has a path of ${bytes} bytes, and ${maxSocketPath} are possible`,
    {
      hint: 'choose a data directory with a shorter path: --data DIR',
    },
  )
}
