import type { ServerResponse } from 'node:http'

export interface ServerSentEvent {
  readonly id?: number
  readonly event: string
  /** Sent as JSON. */
  readonly data: unknown
}

export interface EventStream {
  send(event: ServerSentEvent): void
  /** Bytes that the client has not taken yet. */
  backlog(): number
  end(): void
}

const heartbeatMs = 15_000

/**
 * Turns a response into a stream of server-sent events. Comments keep it alive while nothing happens.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function openEventStream(raw: ServerResponse): EventStream {
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' })
  raw.flushHeaders()
  const beat = () => {
    // Whoever has not read the last bytes does not need more of them.
    if (raw.writableLength === 0) raw.write(': still here\n\n')
  }
  const heartbeat = setInterval(beat, heartbeatMs)
  raw.once('close', () => clearInterval(heartbeat))
  return {
    send({ id, event, data }) {
      if (raw.writableEnded || raw.destroyed) return
      raw.write(`${id === undefined ? '' : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    },
    backlog: () => raw.writableLength,
    end() {
      clearInterval(heartbeat)
      raw.end()
    },
  }
}
