import type { Server } from 'node:net'
import { sourceOf } from '../access/failed-attempts.ts'

/** Of one address, and of all of them. */
const limits = { each: 512, all: 2048 }

/** Leaves room for others, whatever one address does. */
export function limitConnections(server: Server, most: typeof limits = limits): void {
  server.maxConnections = most.all
  const open = new Map<string, number>()
  server.on('connection', (socket) => {
    const source = sourceOf(socket.remoteAddress ?? '')
    const count = (open.get(source) ?? 0) + 1
    if (count > most.each) {
      socket.destroy()
      return
    }
    open.set(source, count)
    socket.once('close', () => {
      const left = (open.get(source) ?? 1) - 1
      if (left === 0) open.delete(source)
      else open.set(source, left)
    })
  })
}
