import type { ServerResponse } from 'node:http'
import type { CowshedEvent } from '../../contract/index.ts'
import { openEventStream } from './event-stream.ts'
import type { EventSource } from './handlers.ts'

/** A client that has left this many bytes unread is let go: it can come back with the last id that it saw. */
const maxBacklogBytes = 4 * 2 ** 20

/** Sends the past events and then each as it happens, until the client goes away or the daemon stops. */
export function sendEvents(raw: ServerResponse, { past, subscribe }: EventSource, signal: AbortSignal): Promise<void> {
  const stream = openEventStream(raw)
  const send = (event: CowshedEvent) => {
    stream.send({ id: event.seq, event: event.type, data: event })
    if (stream.backlog() > maxBacklogBytes) raw.destroy()
  }
  // Both in one turn: no event can fall between them or come twice.
  for (const event of past()) send(event)
  const unsubscribe = subscribe(send)
  return new Promise((resolve) => {
    const finish = () => {
      unsubscribe()
      stream.end()
      resolve()
    }
    if (signal.aborted) finish()
    else signal.addEventListener('abort', finish, { once: true })
  })
}
