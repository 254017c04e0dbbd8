import { createReadStream } from 'node:fs'
import { connect } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { errnoCode, problemFromSystem } from '../../base/index.ts'

/**
 * Sends a file to whoever listens on a unix socket. One who hangs up before the end has had enough: why, that one knows.
 *
 * @throws Problem FILE_NOT_FOUND, IO_FAILED
 */
export async function sendFile(path: string, socketPath: string): Promise<void> {
  const socket = connect(socketPath)
  // Nobody says anything on it; that one who is done resets it is no news.
  socket.on('error', () => undefined)
  try {
    await pipeline(createReadStream(path), socket)
  } catch (error) {
    if (hungUp.has(errnoCode(error) ?? '')) return
    throw problemFromSystem(error, `send ${path}`)
  } finally {
    socket.destroySoon()
  }
}

const hungUp = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'])
