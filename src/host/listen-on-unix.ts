import { chmodSync } from 'node:fs'
import { maxSocketPath, Problem, problemFromSystem } from '../base/index.ts'
import { lastError, libc } from './libc.ts'

export interface ListeningSocket extends Disposable {
  /** For a child to inherit: this process does not answer on it. */
  readonly fd: number
}

/** So many connections may wait to be accepted. */
const backlog = 16

/**
 * Makes a unix socket that another process is to answer on, so that it need not be allowed to make one there: nothing must be at its path. Its
 * name stays when it is closed, and whoever connects is refused once nobody has it open.
 *
 * @throws Problem FILE_EXISTS, FILE_NOT_FOUND, PERMISSION_DENIED, PATH_TOO_LONG, IO_FAILED
 * @see unix(7)
 */
export function listenOnUnix(path: string): ListeningSocket {
  const fd = libc().unixSocket()
  if (fd < 0) throw problemFromSystem(lastError('socket'), 'make a socket')
  try {
    if (libc().bind(fd, unixAddress(path)) !== 0) throw lastError('bind')
    // Nobody can connect before it listens.
    chmodSync(path, 0o600)
    if (libc().listen(fd, backlog) !== 0) throw lastError('listen')
  } catch (error) {
    libc().close(fd)
    throw problemFromSystem(error, `listen on ${path}`)
  }
  return { fd, [Symbol.dispose]: () => void libc().close(fd) }
}

/** struct sockaddr_un of sys/un.h: the family in the byte order of this host, little-endian on all that cowshed runs on. */
function unixAddress(path: string): Uint8Array {
  const name = Buffer.from(path)
  if (name.length > maxSocketPath) {
    throw new Problem('PATH_TOO_LONG', `a socket's path may have ${maxSocketPath} bytes: ${path}`)
  }
  return Buffer.concat([Buffer.from([1, 0]), name, Buffer.alloc(1)])
}
