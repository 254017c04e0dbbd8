import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { type OpenPort, openPort, type PortConnection } from './index.ts'

const servers: Server[] = []
const ports: OpenPort[] = []
afterEach(() => {
  for (const port of ports.splice(0)) port.end()
  for (const server of servers.splice(0)) server.close()
})

/** Says in capitals what it was told, once all of it was. @returns its port */
async function shouter(): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let heard = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      heard += chunk.toString()
    })
    socket.once('end', () => socket.end(heard.toUpperCase()))
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function open(onConnection: (connection: PortConnection) => Promise<void>): Promise<OpenPort> {
  const opened = await openPort({ port: 0, onConnection: (each) => onConnection(each).catch(() => undefined) })
  ports.push(opened)
  return opened
}

async function connected(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  return socket
}

test('what is said before it is known where it goes arrives, and who has said all still hears the answer', async () => {
  const target = await shouter()
  let goOn = () => {}
  const known = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const { port } = await open(async (connection) => {
    await known
    await connection.passTo(target)
  })
  const sockets = await Promise.all([connected(port), connected(port)])
  for (const socket of sockets) socket.end('x'.repeat(300_000))
  goOn()
  const heard = await Promise.all(sockets.map((socket) => text(socket)))
  expect(heard).toEqual(['X'.repeat(300_000), 'X'.repeat(300_000)])
})

test('a connection that is reset, before or after it was passed on, ends alone; passing it on settles', async () => {
  const target = await shouter()
  const settled: string[] = []
  const { port } = await open(async (connection) => {
    await connection.passTo(target).finally(() => settled.push('one'))
  })
  for (const say of ['', 'half']) {
    const socket = await connected(port)
    if (say !== '') await new Promise((resolve) => socket.write(say, resolve))
    socket.resetAndDestroy()
  }
  const whole = await connected(port)
  whole.end('still here')
  expect(await text(whole)).toBe('STILL HERE')
  while (settled.length < 3) await new Promise((resolve) => setTimeout(resolve, 5))
})

test('what nobody takes is ended, and why is told', async () => {
  const { port: closed, end } = await open(async () => {})
  end()
  let told: unknown
  const { port } = await open(async (connection) => {
    await connection.passTo(closed).catch((error: unknown) => {
      told = error
    })
  })
  const socket = await connected(port)
  socket.resume()
  await once(socket, 'close').catch(() => undefined)
  expect(told).toMatchObject({ code: 'MACHINE_FAILED' })
})

test('a port that is closed is free again, and its connections go on; one that is taken is refused', async () => {
  const target = await shouter()
  const opened = await open(async (connection) => await connection.passTo(target))
  await expect(openPort({ port: opened.port, onConnection: async () => {} })).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    data: { port: opened.port },
  })
  const socket = await connected(opened.port)
  socket.write('still ')
  opened.close()
  const again = await openPort({ port: opened.port, onConnection: async () => {} })
  ports.push(again)
  expect(again.port).toBe(opened.port)
  socket.end('here')
  expect(await text(socket)).toBe('STILL HERE')
})
