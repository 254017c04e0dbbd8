import { randomBytes } from 'node:crypto'
import { chmod, copyFile, mkdir } from 'node:fs/promises'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { isProblem } from '../../base/index.ts'
import {
  type AgentMessage,
  agentLimits,
  encodeAgentMessage,
  encodeDirectoryEntry,
  encodeHostMessage,
  encodeSync,
  type HostMessage,
} from '../../formats/index.ts'
import type { AgentConnection } from './agent-connection.ts'
import { connectAgent } from './connect-agent.ts'
import { agentProgram, localKey, startLocalAgent } from './local-agent.testkit.ts'

const key = Buffer.from(localKey, 'hex')

/** Some bytes changed, some cut out, some doubled. */
function damaged(bytes: Buffer, changes: readonly (readonly [number, number, number])[]): Buffer {
  let result = Buffer.from(bytes)
  for (const [how, where, value] of changes) {
    if (result.length === 0) break
    const at = where % result.length
    if (how === 0) result[at] = value
    else if (how === 1) result = Buffer.concat([result.subarray(0, at), result.subarray(at + (value % 40))])
    else result = Buffer.concat([result.subarray(0, at), result.subarray(Math.max(0, at - (value % 40)))])
  }
  return result
}

const u8 = fc.integer({ min: 0, max: 255 })
const changes = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.nat(), u8), { maxLength: 5 })

describe.runIf(needs({ root: true, tools: ['make', 'musl-gcc', 'gcc'] }))('an agent that is told nonsense', () => {
  // Harmless even when they are changed: the agent lives in an empty root, as nobody.
  const path = Buffer.from('/files/some-file')
  const requests: HostMessage[] = [
    { kind: 'exec', channel: 1, stdin: true, tty: undefined, user: '', cwd: '', argv: ['/agent', 'x'], env: ['A=b'] },
    {
      kind: 'exec',
      channel: 2,
      stdin: false,
      tty: undefined,
      user: '65534',
      cwd: '/',
      argv: ['agent'],
      env: ['PATH=/'],
    },
    { kind: 'exec', channel: 3, stdin: true, tty: { rows: 1, cols: 1 }, user: '', cwd: '', argv: [], env: [] },
    { kind: 'stat', channel: 4, path, follow: true },
    { kind: 'list', channel: 5, path: Buffer.from('/') },
    { kind: 'read', channel: 6, path: Buffer.from('/agent'), offset: 10, limit: undefined },
    { kind: 'write', channel: 7, path, mode: 0o600, owner: undefined, mtimeNs: 1n },
    { kind: 'mkdir', channel: 8, path, mode: 0o700, parents: true },
    { kind: 'remove', channel: 9, path, recursive: true },
    { kind: 'symlink', channel: 10, path, target: path },
    { kind: 'readlink', channel: 11, path },
    { kind: 'freeze', channel: 12, longestMs: 1 },
    { kind: 'identity', channel: 13, hostname: 'x', machineId: 'y', entropy: Buffer.alloc(9) },
    { kind: 'poweroff', channel: 14, graceMs: 1 },
  ]
  const follow = fc.oneof(
    fc.record({ kind: fc.constant('input' as const), bytes: fc.constant(Buffer.alloc(3000, 0x61)) }),
    fc.record({ kind: fc.constantFrom('inputEnd' as const, 'cancel' as const) }),
    fc.record({ kind: fc.constant('outputCredit' as const), stream: fc.constantFrom(1, 2), bytes: fc.nat(300_000) }),
    fc.record({ kind: fc.constant('resize' as const), rows: u8, cols: u8 }),
    fc.record({ kind: fc.constant('signal' as const), number: u8 }),
  )
  const conversation = fc.array(
    fc.oneof(
      fc.constantFrom(...requests),
      fc.tuple(follow, fc.integer({ min: 1, max: 15 })).map(([message, channel]) => ({ ...message, channel })),
    ),
    { minLength: 1, maxLength: 30 },
  )

  test('lives, and answers the next host', async () => {
    await using local = await startLocalAgent({ checked: true })
    await copyFile(await agentProgram(), join(local.directory, 'agent'))
    await mkdir(join(local.directory, 'files'))
    for (const name of ['.', 'files', 'agent']) await chmod(join(local.directory, name), 0o777)
    // A key ends what came before it unread; so the nonsense is all there is, and the next host asks whether the agent lives.
    const speak = async (bytes: Buffer) => {
      const nonce = randomBytes(agentLimits.nonceBytes)
      const socket = createConnection(local.socketPath)
      const answered = answeredWith(socket, nonce)
      socket.write(Buffer.concat([encodeSync(key, nonce), bytes]))
      await Promise.race([answered, died(local.death)])
      // Some of what was started gets to say something.
      await new Promise((resolve) => setTimeout(resolve, bytes.length % 8))
      socket.end()
    }
    const noise = fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes))
    await fc.assert(
      fc.asyncProperty(conversation, changes, noise, async (messages, damage, tail) => {
        const ordered = messages.map((message, i) => ('path' in message ? { ...message, channel: i + 1 } : message))
        const bytes = Buffer.concat(ordered.map((message) => encodeHostMessage(message as HostMessage)))
        await speak(damaged(bytes, damage))
        await speak(Buffer.concat([bytes.subarray(0, damage.length * 7), tail]))
        expect(local.death()).toBeUndefined()
        expect(local.complaints()).not.toMatch(/runtime error|ERROR: \w+Sanitizer/)
      }),
      { numRuns: 200 },
    )
    expect(local.death()).toBeUndefined()
  })

  test('is told what it did not understand, once, and heeds nothing more', async () => {
    await using local = await startLocalAgent({ checked: true })
    const socket = createConnection(local.socketPath)
    const nonce = randomBytes(agentLimits.nonceBytes)
    const faulted = answeredWith(socket, Buffer.from('against the rules'))
    const stat = encodeHostMessage({ kind: 'stat', channel: 5, path: Buffer.from('/'), follow: false })
    socket.write(Buffer.concat([encodeSync(key, nonce), stat, stat, stat]))
    const heard = await faulted
    expect(heard.includes(nonce)).toBe(true)
    socket.destroy()
  })
})

function answeredWith(socket: Socket, what: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let heard: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]).subarray(-400_000)
      if (heard.includes(what)) resolve(heard)
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the agent closed the connection')))
  })
}

async function died(death: () => string | undefined): Promise<never> {
  while (death() === undefined) await new Promise((resolve) => setTimeout(resolve, 50).unref())
  throw new Error(`the agent died: ${death()}`)
}

/** A guest that synchronises as it should, and then says whatever it likes to whatever it is asked. */
async function falseGuest(answer: (socket: Socket, heard: number) => void) {
  const directory = await temporaryDirectory()
  const socketPath = join(directory.path, 'agent.sock')
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    let synced = false
    let heard = 0
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      const rest = synced ? chunk : chunk.subarray(32)
      if (!synced) socket.write(Buffer.concat([randomBytes(50), chunk.subarray(16, 32), encodeAgentMessage(hello)]))
      synced = true
      heard += rest.length
      if (rest.length > 0) answer(socket, heard)
    })
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  return {
    target: { socketPath, key: localKey },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
      await directory[Symbol.asyncDispose]()
    },
  }
}

const hello: AgentMessage = {
  kind: 'hello',
  protocol: 1,
  agentVersion: '0.1.0',
  bootId: '00000000-0000-4000-8000-000000000000',
}
const stat = Buffer.alloc(28)

/** Everything that can be waited for, waited for. */
async function askEverything(agent: AgentConnection): Promise<PromiseSettledResult<unknown>[]> {
  const late = { timeoutMs: 5000 }
  const all = async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) if (chunk.length === 0) throw new Error('an empty chunk')
  }
  const exec = agent.exec({ argv: ['x'], env: {}, stdin: true, ...late })
  return await Promise.allSettled([
    exec.then((running) => running.exit),
    exec.then((running) => all(running.stdout)),
    exec.then((running) => all(running.stderr)),
    exec.then((running) => running.writeStdin(Buffer.alloc(200_000))),
    agent.stat('/x', late),
    agent.list('/x', late),
    all(agent.readFile('/x', late)),
    agent.writeFile('/x', Buffer.alloc(200_000), { mode: 0o600, ...late }),
    agent.readlink('/x', late),
    agent.trim(late),
    agent.freeze(late),
  ])
}

describe('a guest that lies', () => {
  const channel = fc.integer({ min: 1, max: 9 })
  const reply = fc.constantFrom(
    Buffer.alloc(0),
    Buffer.alloc(4),
    Buffer.alloc(8),
    stat,
    Buffer.from([1, 0, 0, 0, 0x2f]),
  )
  const message: fc.Arbitrary<AgentMessage> = fc.oneof(
    fc.record({ kind: fc.constantFrom('ok' as const, 'started' as const), channel, reply }),
    fc.record({ kind: fc.constant('error' as const), channel, errno: u8, message: fc.string({ maxLength: 20 }) }),
    fc.record({
      kind: fc.constant('output' as const),
      channel,
      stream: fc.constantFrom(1, 2),
      bytes: fc.constantFrom(
        Buffer.alloc(1),
        Buffer.alloc(60_000),
        encodeDirectoryEntry({ name: Buffer.from('a'), stat: { mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: 0n } }),
      ),
    }),
    fc.record({ kind: fc.constant('outputEnd' as const), channel, stream: fc.constantFrom(1, 2) }),
    fc.record({ kind: fc.constant('inputCredit' as const), channel, bytes: fc.constantFrom(1, 65_536, 0xffff_ffff) }),
    fc.record({ kind: fc.constant('exit' as const), channel, code: u8, signal: fc.integer({ min: 0, max: 64 }) }),
    fc.constant<AgentMessage>({ kind: 'ready', uptimeMs: 1 }),
    fc.constant(hello),
  )

  test('is answered with problems, and nobody waits for it for ever', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 30 }), changes, async (messages, damage) => {
        const lies = damaged(Buffer.concat(messages.map(encodeAgentMessage)), damage)
        await using guest = await falseGuest((socket) => socket.end(lies))
        const agent = await connectAgent(guest.target)
        for (const outcome of await askEverything(agent)) {
          if (outcome.status === 'rejected') expect(isProblem(outcome.reason), String(outcome.reason)).toBe(true)
        }
        await agent.closed
        await expect(agent.stat('/')).rejects.toSatisfy((error) => isProblem(error))
      }),
      { numRuns: 150 },
    )
  })

  const started = { kind: 'started', channel: 1, reply: Buffer.alloc(4) } as const
  const output = { kind: 'output', channel: 1, stream: 1, bytes: Buffer.alloc(1) } as const
  const outputEnd = { kind: 'outputEnd', channel: 1, stream: 1 } as const
  const exit = { kind: 'exit', channel: 1, code: 0, signal: 0 } as const
  test.each<[string, AgentMessage[]]>([
    ['answers what nobody asked', [{ kind: 'ok', channel: 99, reply: Buffer.alloc(0) }]],
    ['greets twice', [hello]],
    [
      'is ready twice',
      [
        { kind: 'ready', uptimeMs: 1 },
        { kind: 'ready', uptimeMs: 1 },
      ],
    ],
    ['starts twice', [started, started]],
    ['starts with half a pid', [{ ...started, reply: Buffer.alloc(3) }]],
    ['sends output before it starts', [output]],
    ['sends output after its end', [started, outputEnd, output]],
    ['ends an output twice', [started, outputEnd, outputEnd]],
    ['sends more than its window', [started, ...Array(5).fill({ ...output, bytes: Buffer.alloc(60_000) })]],
    ['gives credit for nothing', [{ kind: 'inputCredit', channel: 1, bytes: 1 }]],
    ['exits before its outputs end', [started, exit]],
    ['answers OK to a program', [started, { kind: 'ok', channel: 1, reply: Buffer.alloc(0) }]],
    ['faults', [{ kind: 'fault', reason: 'no \u001b[31m idea' }]],
  ])('and %s is hung up on', async (_, messages) => {
    await using guest = await falseGuest((socket) => socket.write(Buffer.concat(messages.map(encodeAgentMessage))))
    const agent = await connectAgent(guest.target)
    const exec = await agent.exec({ argv: ['x'], env: {}, stdin: true }).catch((error: unknown) => ({
      exit: Promise.reject(error as Error),
    }))
    await expect(exec.exit).rejects.toMatchObject({ code: 'AGENT_PROTOCOL' })
    await agent.closed
    await expect(agent.stat('/')).rejects.toMatchObject({ code: 'AGENT_PROTOCOL' })
  })

  test('and speaks another version is named as such', async () => {
    const directory = await temporaryDirectory()
    await using _ = directory
    const socketPath = join(directory.path, 'old.sock')
    const server = createServer((socket) => {
      socket.once('data', (chunk: Buffer) =>
        socket.write(Buffer.concat([chunk.subarray(16, 32), encodeAgentMessage({ ...hello, protocol: 2 })])),
      )
    })
    await new Promise<void>((resolve) => server.listen(socketPath, resolve))
    await expect(connectAgent({ socketPath, key: localKey })).rejects.toMatchObject({
      code: 'AGENT_PROTOCOL',
      message: "the guest's agent speaks protocol 2, cowshed speaks 1",
    })
    await new Promise((resolve) => server.close(resolve))
  })

  test('names that would lead out of a directory end the connection', async () => {
    const entry = encodeDirectoryEntry({
      name: Buffer.from('../x'),
      stat: { mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: 0n },
    })
    await using guest = await falseGuest((socket) =>
      socket.write(
        Buffer.concat([
          encodeAgentMessage({ ...started, reply: Buffer.alloc(0) }),
          encodeAgentMessage({ ...output, bytes: entry }),
        ]),
      ),
    )
    const agent = await connectAgent(guest.target)
    await expect(agent.list('/')).rejects.toMatchObject({ code: 'AGENT_PROTOCOL' })
    await agent.closed
  })

  test('a million single bytes cost no more than their window', async () => {
    const single = Buffer.concat(Array.from({ length: 4000 }, () => encodeAgentMessage(output)))
    let sent = 0
    await using guest = await falseGuest((socket) => {
      if (sent++ === 0) socket.write(Buffer.concat([encodeAgentMessage(started), ...Array<Buffer>(60).fill(single)]))
    })
    const agent = await connectAgent(guest.target)
    const exec = await agent.exec({ argv: ['x'], env: {}, stdin: false })
    let received = 0
    for await (const chunk of exec.stdout) {
      received += chunk.length
      if (received === 240_000) break
    }
    expect(received).toBe(240_000)
    agent.close()
  })
})
