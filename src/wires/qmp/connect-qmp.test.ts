import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { Problem } from '../../base/index.ts'
import { connectQmp } from './connect-qmp.ts'
import { LineSplitter } from './line-splitter.ts'
import { parseQmpMessage, type QmpEvent } from './qmp-message.ts'

const greeting =
  '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}\r\n'

/** A QMP server that answers what `answer` says; QEMU itself is met in the driver's conformance suite. */
async function fakeQemu(answer: (command: string, id: number, socket: Socket) => void) {
  const dir = await temporaryDirectory()
  const path = join(dir.path, 'qmp.sock')
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.write(greeting)
    const lines = new LineSplitter(1 << 20)
    socket.on('data', (chunk) => {
      for (const line of lines.push(chunk as Buffer)) {
        const { execute, id } = JSON.parse(line) as { execute: string; id: number }
        if (execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": ${id}}\n`)
        else answer(execute, id, socket)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    path,
    sockets,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await dir[Symbol.asyncDispose]()
    },
  }
}

describe('a conversation with the monitor', () => {
  test('greets, and matches answers to commands whatever their order', async () => {
    const held: (() => void)[] = []
    await using qemu = await fakeQemu((command, id, socket) => {
      held.push(() => socket.write(`{"return": {"was": "${command}"}, "id": ${id}}\n`))
      if (held.length === 2) for (const send of held.reverse()) send()
    })
    const qmp = await connectQmp(qemu.path)
    expect(qmp.greeting).toEqual({ version: '7.2.22', package: 'Debian' })
    expect(await Promise.all([qmp.execute('stop'), qmp.execute('cont')])).toEqual([{ was: 'stop' }, { was: 'cont' }])
    qmp.close()
    expect(await qmp.closed).toBeUndefined()
  })

  test('an event that comes with the very first answer is not missed', async () => {
    const events: QmpEvent[] = []
    const event =
      '{"timestamp": {"seconds": 2, "microseconds": 5}, "event": "SHUTDOWN", "data": {"reason": "guest-reset"}}'
    await using qemu = await fakeQemu((_, id, socket) =>
      socket.write(`${event}\n{"return": 1, "id": ${id}}\n${event}\n`),
    )
    const qmp = await connectQmp(qemu.path, { onEvent: (seen) => events.push(seen) })
    await qmp.execute('x')
    expect(events).toEqual(
      Array(2).fill({ name: 'SHUTDOWN', data: { reason: 'guest-reset' }, microseconds: 2_000_005 }),
    )
    qmp.close()
  })

  test('a refusal is a problem with what QEMU said, made safe to show', async () => {
    await using qemu = await fakeQemu((_, id, socket) =>
      socket.write(`{"error": {"class": "GenericError", "desc": "no \\u001b[31m such"}, "id": ${id}}\n`),
    )
    const qmp = await connectQmp(qemu.path)
    await expect(qmp.execute('nonsense')).rejects.toMatchObject({
      code: 'QMP_FAILED',
      message: 'QEMU refused nonsense: no \\x1b[31m such',
      data: { command: 'nonsense', class: 'GenericError' },
    })
    qmp.close()
  })

  test('whoever waits when QEMU goes is told, and so is whoever asks later', async () => {
    await using qemu = await fakeQemu((_, __, socket) => socket.destroy())
    const qmp = await connectQmp(qemu.path)
    await expect(qmp.execute('stop')).rejects.toMatchObject({ code: 'QMP_FAILED' })
    await qmp.closed
    await expect(qmp.execute('cont')).rejects.toMatchObject({ code: 'QMP_FAILED' })
  })

  test('silence ends in a problem, and the conversation goes on', async () => {
    await using qemu = await fakeQemu((command, id, socket) => {
      if (command !== 'mute') socket.write(`{"return": 3, "id": ${id}}\n`)
    })
    const qmp = await connectQmp(qemu.path, { timeoutMs: 60 })
    await expect(qmp.execute('mute')).rejects.toMatchObject({ code: 'QMP_FAILED', data: { command: 'mute' } })
    expect(await qmp.execute('speak')).toBe(3)
    qmp.close()
  })

  test.each([
    ['garbage', 'SSH-2.0-OpenSSH\n'],
    ['a line without end', Buffer.alloc(5 << 20, 0x20)],
    ['deeply nested JSON', `${'['.repeat(1 << 20)}\n`],
    ['an error that answers nothing', '{"error": {"class": "GenericError", "desc": "JSON parse error"}}\n'],
  ])('%s ends the conversation, not the program', async (_, bytes) => {
    await using qemu = await fakeQemu((__, ___, socket) => socket.write(bytes))
    const qmp = await connectQmp(qemu.path)
    await expect(qmp.execute('x')).rejects.toMatchObject({ code: 'QMP_FAILED' })
    expect(await qmp.closed).toMatchObject({ code: 'QMP_FAILED' })
  })

  test('nobody there, and a cancelled wait for the greeting', async () => {
    await using qemu = await fakeQemu(() => {})
    await expect(connectQmp(`${qemu.path}.absent`)).rejects.toMatchObject({ code: 'QMP_FAILED' })
    await using silent = await silentServer()
    const signal = AbortSignal.timeout(30)
    await expect(connectQmp(silent.path, { signal })).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(connectQmp(silent.path, { signal })).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(connectQmp(silent.path, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'QMP_FAILED' })
    await vi.waitFor(() => expect(silent.connections()).toBe(0))
  })
})

/** What a second client of QEMU meets: a connection, and no greeting. */
async function silentServer() {
  const dir = await temporaryDirectory()
  const path = join(dir.path, 'qmp.sock')
  let open = 0
  const server = createServer((socket) => {
    open++
    socket.on('error', () => {}).on('close', () => open--)
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    path,
    connections: () => open,
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => server.close(resolve))
      await rm(dir.path, { recursive: true, force: true })
    },
  }
}

describe('whatever the monitor sends', () => {
  test('is a message or a problem', () => {
    const line = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .record({ event: fc.jsonValue(), data: fc.jsonValue(), timestamp: fc.jsonValue() })
        .map((v) => JSON.stringify(v)),
      fc.record({ QMP: fc.jsonValue(), id: fc.jsonValue() }).map((v) => JSON.stringify(v)),
      fc.record({ error: fc.jsonValue(), id: fc.jsonValue() }).map((v) => JSON.stringify(v)),
    )
    fc.assert(
      fc.property(line, (text) => {
        try {
          expect(['greeting', 'return', 'error', 'event']).toContain(parseQmpMessage(text).kind)
        } catch (error) {
          if (!(error instanceof Problem)) throw error
          expect(error.code).toBe('QMP_FAILED')
        }
      }),
    )
  })

  test('is cut into the same lines however it arrives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z{}" ]{0,20}$/)),
        fc.infiniteStream(fc.integer({ min: 1, max: 7 })),
        (lines, sizes) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\r\n`).join(''))
          const splitter = new LineSplitter(64)
          const found: string[] = []
          for (let at = 0; at < bytes.length; ) {
            const size = sizes.next().value as number
            found.push(...splitter.push(bytes.subarray(at, at + size)))
            at += size
          }
          expect(found).toEqual(lines.map((line) => line.trim()).filter((line) => line !== ''))
        },
      ),
    )
  })
})
