import type { RawData, WebSocket } from 'ws'

export interface SocketMessage {
  readonly data: Buffer
  readonly isBinary: boolean
}

export interface SocketMessages {
  /** The next message; undefined when the client is gone or nobody wants more. */
  next(): Promise<SocketMessage | undefined>
  /** Ends a `next` that waits, and discards what still comes. */
  stop(): void
}

/** Messages that may wait here before the socket is no longer read. */
const maxWaiting = 8
/** A socket that is not read does not tell that its other end has gone, but a write to it does. */
const probeMs = 1000

/** Reads a WebSocket message by message; while nobody asks for more, the client's writes come to a halt instead of piling up here. */
export function socketMessages(socket: WebSocket): SocketMessages {
  const waiting: SocketMessage[] = []
  let ended = false
  let wake: (() => void) | undefined
  const probe = setInterval(() => socket.ping(ignore), probeMs)

  socket.on('message', (data: RawData, isBinary: boolean) => {
    if (ended) return
    waiting.push({ data: toBuffer(data), isBinary })
    if (waiting.length >= maxWaiting) socket.pause()
    wake?.()
  })
  const end = () => {
    ended = true
    // A close frame can only be seen while the socket is read.
    socket.resume()
    wake?.()
  }
  socket.once('close', () => {
    clearInterval(probe)
    end()
  })

  return {
    async next() {
      while (waiting.length === 0 && !ended) {
        socket.resume()
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      return waiting.shift()
    },
    stop() {
      waiting.length = 0
      end()
    },
  }
}

/** Of a ping that cannot be sent the close event tells. */
const ignore = () => {}

function toBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
}
