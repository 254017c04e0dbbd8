/**
 * A link that is far away, before a server on this host: every byte that goes to the server waits, all that come from it share one rate.
 *
 *     node link-proxy.js HOST PORT DELAY_MS BYTES_PER_SECOND
 *
 * Prints its port. Over IPC it answers each message with what has gone through since the last one: `{requests, bytes}`.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { LinkTraffic } from './open-link.ts'

const [host = '', port = '', delay = '', rate = ''] = process.argv.slice(2)
const delayMs = Number(delay)
const bytesPerMs = Number(rate) / 1000
/** Less than that ahead is not worth a timer. */
const slackMs = 2

let traffic: LinkTraffic = { requests: 0, bytes: 0 }
/** Until when the link is taken. */
let busyUntil = 0

const server = createServer({ noDelay: true }, (client) => {
  const origin = connect({ host, port: Number(port), noDelay: true })
  const end = () => {
    client.destroy()
    origin.destroy()
  }
  for (const socket of [client, origin]) socket.on('error', end).on('close', end)
  client.on('data', (bytes: Buffer) => {
    if (/^(?:GET|HEAD|POST|PUT|PATCH) /.test(bytes.subarray(0, 6).toString('latin1'))) traffic.requests++
    setTimeout(() => origin.writable && origin.write(bytes), delayMs)
  })
  origin.on('data', (bytes: Buffer) => {
    traffic.bytes += bytes.length
    send(client, origin, bytes)
  })
})

/** In its turn: the sender is paused until then. */
function send(client: Socket, origin: Socket, bytes: Buffer): void {
  const now = performance.now()
  busyUntil = Math.max(now, busyUntil) + bytes.length / bytesPerMs
  const isFree = client.writable ? client.write(bytes) : true
  const waitMs = busyUntil - now
  if (waitMs < slackMs && isFree) return
  origin.pause()
  const go = () => (client.writableNeedDrain ? client.once('drain', () => origin.resume()) : origin.resume())
  setTimeout(go, Math.max(0, waitMs))
}

process.on('message', () => {
  process.send?.(traffic)
  traffic = { requests: 0, bytes: 0 }
})
process.on('disconnect', () => process.exit())
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port))
