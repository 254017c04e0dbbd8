import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { limitBody } from './limit-body.ts'
import { limitConnections } from './limit-connections.ts'

let server: Server
afterEach(() => {
  vi.useRealTimers()
  server.closeAllConnections()
  server.close()
})

async function listen(): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('an address has so many connections, and again as many when they have gone', async () => {
  server = createServer()
  limitConnections(server, { each: 2, all: 10 })
  const port = await listen()
  const open = () => connect(port, '127.0.0.1')
  const [first, second] = [open(), open()]
  await Promise.all([once(first, 'connect'), once(second, 'connect')])
  await once(open(), 'close')
  first.destroy()
  await expect
    .poll(async () => await new Promise((resolve) => server.getConnections((_, count) => resolve(count))))
    .toBe(1)
  const again = open()
  await once(again, 'connect')
  again.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(server, 'request')
  for (const socket of [second, again]) socket.destroy()
})

test('a body that stops coming ends its connection', async () => {
  server = createServer((request) => {
    limitBody(request, 20)
    request.resume()
  })
  const socket = connect(await listen(), '127.0.0.1')
  socket.on('error', () => {})
  socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n1')
  await once(socket, 'close')
})

test('a body that goes on, however slowly, does not, nor what comes after one that is whole', () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const socket = { bytesRead: 100, destroy: vi.fn() }
  const request = Object.assign(new EventEmitter(), { socket, headers: { 'content-length': '8' }, complete: false })
  limitBody(request as unknown as IncomingMessage, 100)
  for (let tick = 0; tick < 5; tick++) {
    socket.bytesRead++
    vi.advanceTimersByTime(100)
  }
  request.complete = true
  vi.advanceTimersByTime(1000)
  expect(socket.destroy).not.toHaveBeenCalled()
  expect(vi.getTimerCount()).toBe(0)
})
