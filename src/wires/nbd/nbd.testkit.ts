import { connect, type Socket } from 'node:net'
import type { NbdAddress } from './index.ts'

/** The flags of a client that knows what came after the first newstyle, and wants no padding. */
export const newstyle = '00000003'

export function connectTo(address: NbdAddress): Socket {
  const socket = connect(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port })
  socket.on('error', () => {})
  return socket
}

export interface SentRequest {
  readonly command: number
  readonly offset: number
  readonly length: number
  readonly cookie?: bigint
  readonly payload?: Buffer
}

/** The server has said that a read failed, by a number of NBD's. */
export class RefusedRead extends Error {
  readonly code: number

  constructor(code: number) {
    super(`the read failed: ${code}`)
    this.code = code
  }
}

/** A client that says exactly what it is told to, and reads as many bytes as it is told to. */
export async function openClient(address: NbdAddress) {
  const socket = connectTo(address)
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let held: Buffer = Buffer.alloc(0)
  const take = async (length: number): Promise<Buffer> => {
    const parts = [held]
    let total = held.length
    while (total < length) {
      const { value, done } = await chunks.next()
      if (done === true) throw new Error('the server hung up')
      parts.push(value)
      total += value.length
    }
    const all = Buffer.concat(parts)
    held = all.subarray(length)
    return all.subarray(0, length)
  }
  const send = (...parts: (string | Buffer)[]) => {
    for (const part of parts) socket.write(typeof part === 'string' ? Buffer.from(part, 'hex') : part)
  }
  await take(18)
  return {
    socket,
    send,
    take,
    async go({ structured: asked = false } = {}) {
      send(newstyle)
      if (asked) {
        send(structured)
        await take(20)
      }
      send(goOption)
      await take(20 + 12 + 20)
    },
    request: (request: SentRequest) => send(requestBytes(request)),
    /** Of a client that has agreed on simple replies, and waits for nothing else. @throws when it is told that they cannot be read */
    async read(offset: number, length: number): Promise<Buffer> {
      send(requestBytes({ command: 0, offset, length }))
      const error = (await take(16)).readUInt32BE(4)
      if (error !== 0) throw new RefusedRead(error)
      return await take(length)
    },
    [Symbol.asyncDispose]: async () => void socket.destroy(),
  }
}

export function option(code: number, data: Buffer): Buffer {
  const header = Buffer.from('49484156454f50540000000000000000', 'hex')
  header.writeUInt32BE(code, 8)
  header.writeUInt32BE(data.length, 12)
  return Buffer.concat([header, data])
}

/** That replies may be structured. */
export const structured = option(8, Buffer.alloc(0))

/** That the client may ask where zeros are: SET_META_CONTEXT of the export without a name. */
export const allocation = option(
  10,
  Buffer.concat([Buffer.from('00000000000000010000000f', 'hex'), Buffer.from('base:allocation')]),
)

/** GO for the export without a name, without asking for anything. */
export const goOption = option(7, Buffer.alloc(6))

export function requestBytes({ command, offset, length, cookie = 0n, payload = Buffer.alloc(0) }: SentRequest): Buffer {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt32BE(0x25609513, 0)
  bytes.writeUInt16BE(command, 6)
  bytes.writeBigUInt64BE(cookie, 8)
  bytes.writeBigUInt64BE(BigInt(offset), 16)
  bytes.writeUInt32BE(length, 24)
  return Buffer.concat([bytes, payload])
}
