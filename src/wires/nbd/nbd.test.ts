import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { heldBytes } from '../../../test/support/garbage.ts'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { Problem } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import { keystream } from '../registry/registry.testkit.ts'
import type { BlockSource } from './block-source.ts'
import { formatNbdAddress, type NbdServer, serveNbd, watchNbd } from './index.ts'
import {
  allocation,
  connectTo,
  goOption,
  newstyle,
  openClient,
  option,
  requestBytes,
  structured,
} from './nbd.testkit.ts'
import { parseNbdAddress } from './nbd-address.ts'

/** Bytes, then zeros, then bytes; not a multiple of anything. */
const content = Buffer.concat([keystream(3 << 20), Buffer.alloc(1 << 20), keystream((1 << 20) + 512, 2)])
const hole = { from: 3 << 20, to: 4 << 20 }
const tools = ['nbdinfo', 'nbdcopy', 'qemu-img', 'qemu-io']

/** Every second read is answered later than those after it. */
function sourceOf(bytes: Buffer): BlockSource & { readonly hints: number[][] } {
  let count = 0
  const hints: number[][] = []
  return {
    bytes: bytes.length,
    hints,
    read: (offset, length) => {
      const found = bytes.subarray(offset, offset + length)
      return count++ % 2 === 0 ? found : new Promise((resolve) => setImmediate(() => resolve(found)))
    },
    hint: (...range) => hints.push(range),
    runAt: (offset, length) => {
      const isZero = offset >= hole.from && offset < hole.to
      const end = isZero ? hole.to : offset < hole.from ? hole.from : bytes.length
      return { isZero, length: Math.min(length, end - offset) }
    },
  }
}

/** Of which every third read is answered at once. */
function promptSourceOf(bytes: Buffer): ReturnType<typeof sourceOf> {
  let count = 0
  return {
    ...sourceOf(bytes),
    readAtOnce: (offset, place) =>
      count++ % 3 === 0 && bytes.copy(place, 0, offset, offset + place.length) === place.length,
  }
}

describe.runIf(needs({ tools }))('other programs', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let server: NbdServer
  let url = ''
  const source = promptSourceOf(content)
  const raw = () => join(directory.path, 'raw')

  beforeAll(async () => {
    directory = await temporaryDirectory()
    await writeFile(raw(), content)
    server = await serveNbd(source, { kind: 'unix', path: join(directory.path, 's') })
    url = formatNbdAddress(server.address)
  })
  afterAll(async () => {
    await server.close()
    await directory[Symbol.asyncDispose]()
  })

  test('see what it is', async () => {
    const { stdout } = await runTool('nbdinfo', ['--json', url])
    expect(JSON.parse(stdout.toString())).toMatchObject({
      protocol: 'newstyle-fixed',
      structured: true,
      exports: [
        {
          'export-name': '',
          'export-size': content.length,
          is_read_only: true,
          can_multi_conn: true,
          can_cache: true,
          can_df: true,
          contexts: ['base:allocation'],
          block_size_maximum: 32 << 20,
        },
      ],
    })
    const { stdout: names } = await runTool('nbdinfo', ['--list', '--json', url])
    expect(JSON.parse(names.toString()).exports).toHaveLength(1)
  })

  test('see where the zeros are', async () => {
    const { stdout } = await runTool('nbdinfo', ['--map', '--json', url])
    expect(JSON.parse(stdout.toString())).toMatchObject([
      { offset: 0, length: hole.from, type: 0 },
      { offset: hole.from, length: hole.to - hole.from, type: 3 },
      { offset: hole.to, length: content.length - hole.to, type: 0 },
    ])
  })

  test('copy it, over several connections', async () => {
    await runTool('nbdcopy', ['--connections=4', url, join(directory.path, 'copy')])
    expect((await readFile(join(directory.path, 'copy'))).equals(content)).toBe(true)
  })

  test('find it equal', async () => {
    const { stdout } = await runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', url, raw()])
    expect(stdout.toString()).toContain('Images are identical')
  })

  test('cannot write to it', async () => {
    const args = ['-f', 'raw', '-c', 'write 0 4096', url]
    await expect(runTool('qemu-io', args)).rejects.toThrow(/denied|read-only|not permitted/i)
    const { stdout } = await runTool('qemu-io', ['-r', '-f', 'raw', '-c', 'read 512 1024', url])
    expect(stdout.toString()).toContain('read 1024/1024 bytes')
  })

  test('say what they will read', async () => {
    await using client = await openClient(server.address)
    await client.go()
    client.request({ command: 5, offset: 4096, length: 8192 })
    expect((await client.take(16)).readUInt32BE(4)).toBe(0)
    expect(source.hints).toEqual([[4096, 8192]])
  })
})

describe('a client', () => {
  test('of long ago names an export and gets it', async () => {
    await using served = await serve(sourceOf(content))
    await using client = await openClient(served.server.address)
    client.send(newstyle, option(1, Buffer.alloc(0)))
    const answer = await client.take(10)
    expect(answer.readBigUInt64BE()).toBe(BigInt(content.length))
    client.request({ command: 0, offset: 10, length: 100 })
    expect((await client.take(116)).subarray(16)).toEqual(content.subarray(10, 110))
  })

  test('that only waits is told when the server has gone', async () => {
    await using directory = await temporaryDirectory()
    const path = join(directory.path, 's')
    expect(await watchNbd(path)).toBeUndefined()
    const server = await serveNbd(sourceOf(content), { kind: 'unix', path })
    using watch = await watchNbd(path)
    expect([watch === undefined, server.counters().clients]).toEqual([false, 1])
    await server.close()
    await watch?.gone
    expect(await watchNbd(path)).toBeUndefined()
  })

  test('that asks for what is not there, or may not be, is told so and goes on', async () => {
    await using served = await serve(sourceOf(content))
    await using client = await openClient(served.server.address)
    await client.go()
    const end = content.length
    for (const [request, error] of [
      [{ command: 0, offset: end - 1, length: 2 }, 22],
      [{ command: 0, offset: 2 ** 52, length: 2 }, 22],
      [{ command: 0, offset: 0, length: 0 }, 22],
      [{ command: 0, offset: 0, length: (32 << 20) + 1 }, 22],
      [{ command: 1, offset: 0, length: 4, payload: Buffer.from('text') }, 1],
      [{ command: 4, offset: 0, length: 4 }, 1],
      [{ command: 6, offset: 0, length: 4 }, 1],
      [{ command: 5, offset: end, length: 4 }, 22],
      // Nothing was agreed on.
      [{ command: 7, offset: 0, length: 4 }, 22],
      [{ command: 99, offset: 0, length: 4 }, 22],
    ] as const) {
      client.request(request)
      expect((await client.take(16)).readUInt32BE(4)).toBe(error)
    }
    client.request({ command: 0, offset: 3, length: 5 })
    expect((await client.take(21)).subarray(16)).toEqual(content.subarray(3, 8))
  })

  test('is told what cannot be read, and why', async () => {
    const failing: BlockSource = {
      ...sourceOf(content),
      read: async () => {
        throw new Problem('REGISTRY_UNREACHABLE', 'nobody answers')
      },
    }
    await using served = await serve(failing)
    await using client = await openClient(served.server.address)
    await client.go({ structured: true })
    client.request({ command: 0, offset: 0, length: 4096 })
    const reply = await client.take(20 + 6 + 'nobody answers'.length)
    expect([reply.readUInt16BE(6), reply.readUInt32BE(20)]).toEqual([0x8001, 5])
    expect(reply.toString('utf8', 26)).toBe('nobody answers')
    expect(served.server.counters()).toMatchObject({ errors: 1, reads: 0 })
  })

  test('that waits for nothing is answered as soon as each read is done', async () => {
    const waiting: (() => void)[] = []
    const source = sourceOf(content)
    const first = content.subarray(0, 512)
    await using served = await serve({
      ...source,
      read: (offset, length) =>
        offset === 0
          ? new Promise((resolve) => waiting.push(() => resolve(first)))
          : content.subarray(offset, offset + length),
    })
    await using client = await openClient(served.server.address)
    await client.go()
    client.request({ command: 0, offset: 0, length: 512, cookie: 1n })
    client.request({ command: 0, offset: 1024, length: 512, cookie: 2n })
    expect((await client.take(16 + 512)).readBigUInt64BE(8)).toBe(2n)
    waiting[0]?.()
    const late = await client.take(16 + 512)
    expect([late.readBigUInt64BE(8), late.subarray(16).equals(first)]).toEqual([1n, true])
  })

  test.each([
    ['are made for it', {}],
    ['are in blocks', { readAtOnce: (_: number, place: Buffer) => place.fill(7).length > 0 }],
  ])('that does not take its answers, which %s, holds up nobody, and bounds what is kept for it', async (_, how) => {
    const large: BlockSource = {
      ...{ bytes: 1 << 30, read: (_, length) => Buffer.alloc(length, 7), hint: () => {} },
      runAt: (_, length) => ({ isZero: false, length }),
      ...how,
    }
    await using served = await serve(large)
    await using greedy = await openClient(served.server.address)
    await greedy.go()
    greedy.socket.pause()
    const before = heldBytes()
    for (let at = 0; at < 500; at++) greedy.request({ command: 0, offset: at << 20, length: 1 << 20 })
    await using other = await openClient(served.server.address)
    await other.go()
    for (let at = 0; at < 20; at++) {
      other.request({ command: 0, offset: at * 4096, length: 4096 })
      expect((await other.take(16 + 4096)).subarray(16).equals(Buffer.alloc(4096, 7))).toBe(true)
    }
    // What waits for it, blocks for whoever is next, and what is on its way in both directions.
    expect(heldBytes() - before).toBeLessThan(16 << 20)
    greedy.socket.resume()
    for (let at = 0; at < 500; at++) await greedy.take(16 + (1 << 20))
  })

  test('that asks for many things before it takes any gets each of them whole, whoever else asks or is gone', async () => {
    const at = (offset: number, length: number) => content.subarray(offset, offset + length)
    await using served = await serve({
      ...sourceOf(content),
      read: at,
      readAtOnce: (offset, place) => at(offset, place.length).copy(place) === place.length,
    })
    // More than one block of replies, of lengths that fill none to its end; some fill a block, some are larger.
    const lengthOf = (n: number) => 1 + ((n * 7919) % (n % 40 === 0 ? 2_000_000 : 70_000))
    const requests = Array.from({ length: 800 }, (_, n) => ({ offset: n * 2111, length: lengthOf(n) }))
    const ask = async () => {
      const client = await openClient(served.server.address)
      await client.go()
      client.socket.pause()
      for (const [n, request] of requests.entries()) client.request({ command: 0, ...request, cookie: BigInt(n) })
      return client
    }
    await using patient = await ask()
    await using hasty = await ask()
    const gone = await ask()
    gone.socket.resetAndDestroy()
    for (const client of [hasty, patient]) {
      client.socket.resume()
      for (const { offset, length } of requests) {
        const header = await client.take(16)
        expect([header.readUInt32BE(0), header.readUInt32BE(4)]).toEqual([0x67446698, 0])
        const { offset: from, length: bytes } = requests[Number(header.readBigUInt64BE(8))] ?? { offset, length }
        expect((await client.take(bytes)).equals(at(from, bytes))).toBe(true)
      }
    }
    expect(served.server.counters()).toMatchObject({ errors: 0 })
  })

  test('may say anything: it is answered or hung up on, nothing of it is kept, and the server serves others', async () => {
    await using served = await serve(promptSourceOf(content))
    const number = fc.oneof(fc.nat({ max: 1 << 20 }), fc.nat({ max: 0xffff_ffff }))
    const request = fc
      .record({ command: fc.nat({ max: 9 }), offset: fc.oneof(fc.nat(), fc.maxSafeNat()), length: number })
      .map((one) => requestBytes(one))
    const known = fc
      .tuple(fc.nat({ max: 12 }), fc.uint8Array({ maxLength: 40 }))
      .map(([code, data]) => option(code, Buffer.from(data)))
    const noise = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))
    const agreements = [[], [goOption], [structured, allocation, goOption]]
    const conversation = fc
      .tuple(fc.constantFrom(...agreements), fc.array(fc.oneof(noise, known, request), { maxLength: 20 }))
      .map(([agreed, said]) => Buffer.concat([Buffer.from(newstyle, 'hex'), ...agreed, ...said]))
    // Some with a few bytes that are others than they should be.
    const slips = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 })
    const before = heldBytes()
    await fc.assert(
      fc.asyncProperty(conversation, slips, fc.integer({ min: 1, max: 200 }), fc.boolean(), async (...said) => {
        const [bytes, changes, step, reset] = said
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        await sayAll(served.server, bytes, { step, reset })
      }),
      { numRuns: 400 },
    )
    await expect.poll(() => served.server.counters().clients, { timeout: 60_000 }).toBe(0)
    expect(heldBytes() - before).toBeLessThan(16 << 20)
    await using client = await openClient(served.server.address)
    await client.go()
    expect((await client.read(0, 512)).equals(content.subarray(0, 512))).toBe(true)
  })
})

/** Says something in pieces of `step` bytes, and hangs up, or is gone at once. */
async function sayAll({ address }: NbdServer, bytes: Buffer, how: { step: number; reset: boolean }): Promise<void> {
  const socket = connectTo(address)
  const closed = once(socket, 'close')
  socket.resume()
  for (let at = 0; at < bytes.length; at += how.step) socket.write(bytes.subarray(at, at + how.step))
  if (how.reset) socket.resetAndDestroy()
  else socket.end()
  await closed
}

describe('an address', () => {
  test.each([
    ['unix:/run/x', { kind: 'unix', path: '/run/x' }],
    ['tcp:127.0.0.1:0', { kind: 'tcp', host: '127.0.0.1', port: 0 }],
    ['tcp:[::1]:10809', { kind: 'tcp', host: '::1', port: 10809 }],
  ])('%s', (text, address) => {
    expect(parseNbdAddress(text)).toEqual(address)
  })

  test.each([
    'unix:x',
    'tcp:127.0.0.1',
    'tcp:0.0.0.0:1',
    'tcp:example.com:1',
    'tcp:[::]:1',
    'fuse:/x',
    'tcp:127.0.0.1:99999',
  ])('%s is none that it may be', (text) => {
    expect(() => parseNbdAddress(text)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))
  })

  test('where somebody listens is not taken from him; where somebody was killed, it is', async () => {
    await using directory = await temporaryDirectory()
    const address = { kind: 'unix', path: join(directory.path, 's') } as const
    const first = await serveNbd(sourceOf(content), address)
    await expect(serveNbd(sourceOf(content), address)).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    await first.close()
    // What a server that was killed leaves: a name on which nobody answers.
    const script = `require('net').createServer().listen(${JSON.stringify(address.path)}, () => process.kill(process.pid, 'SIGKILL'))`
    await runTool(process.execPath, ['-e', script]).catch(() => undefined)
    const second = await serveNbd(sourceOf(content), address)
    await second.close()
    await writeFile(address.path, 'a file')
    await expect(serveNbd(sourceOf(content), address)).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    expect(await readFile(address.path, 'utf8')).toBe('a file')
  })
})

async function serve(source: BlockSource) {
  const server = await serveNbd(source, { kind: 'tcp', host: '127.0.0.1', port: 0 })
  return { server, [Symbol.asyncDispose]: () => server.close() }
}
