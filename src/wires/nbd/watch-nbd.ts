import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { errnoCode } from '../../base/index.ts'
import { nbdClientFlags, nbdOptions } from '../../formats/index.ts'

/** It is there from now on; whoever watches is told when it is gone. */
export interface NbdWatch extends Disposable {
  readonly gone: Promise<void>
}

/**
 * Connects to an NBD server on a unix socket and reads nothing: what tells that it is there, and at which moment it is not any more.
 *
 * @returns undefined when nobody answers there
 */
export async function watchNbd(path: string): Promise<NbdWatch | undefined> {
  const socket = connect(path)
  socket.on('error', () => {})
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  if (!(await isConnected(socket, gone))) return undefined
  // One that said nothing would be hung up on; nothing that is answered is of interest.
  socket.resume()
  socket.write(wantsExport())
  return { gone, [Symbol.dispose]: () => socket.destroy() }
}

async function isConnected(socket: Socket, gone: Promise<void>): Promise<boolean> {
  try {
    await Promise.race([once(socket, 'connect'), gone])
    return !socket.destroyed
  } catch (error) {
    if (errnoCode(error) === undefined) throw error
    return false
  }
}

/** Client flags, then NBD_OPT_EXPORT_NAME for the export without a name: the whole of the shortest handshake. @see doc/proto.md */
function wantsExport(): Buffer {
  const bytes = Buffer.alloc(4 + 16)
  bytes.writeUInt32BE(nbdClientFlags.fixedNewstyle, 0)
  bytes.write('IHAVEOPT', 4, 'latin1')
  bytes.writeUInt32BE(nbdOptions.exportName, 12)
  return bytes
}
