import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

export interface CloseHttpServer {
  readonly app: FastifyInstance
  /** Resolves when no WebSocket conversation is under way. */
  readonly socketsDone: () => Promise<void>
  /** How long answers may take that have been told to end. */
  readonly graceMs: number
}

/** Stops accepting, lets what is under way end, and cuts off what has not by the deadline. */
export async function closeHttpServer({ app, socketsDone, graceMs }: CloseHttpServer): Promise<void> {
  const deadline = new AbortController()
  const closed = Promise.all([app.close(), socketsDone()])
  await Promise.race([closed, sleep(graceMs, undefined, { signal: deadline.signal }).catch(() => {})])
  deadline.abort()
  app.server.closeAllConnections()
  await Promise.race([closed, sleep(1000, undefined, { ref: false })])
}
