import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProblem, Problem } from '../../base/index.ts'
import { type AgentMessage, decodeAgentMessage, encodeAgentMessage } from './agent-message.ts'
import { bootFailures, findBootFailure } from './boot-failures.ts'
import { DirectoryEntries, encodeDirectoryEntry, type GuestEntry } from './directory-entries.ts'
import { encodeFrame, type Frame, FrameParser } from './frame-parser.ts'
import { decodeHostMessage, encodeHostMessage, type HostMessage } from './host-message.ts'
import { errnoName, errnoNumber, isMissing } from './linux-errors.ts'
import { signalName, signalNumber } from './linux-signals.ts'
import { agentLimits, frameTypes, protocolVersion } from './protocol.ts'
import { encodeSync, NonceFinder } from './sync.ts'

const guestSource = (name: string) => readFileSync(join(import.meta.dirname, '../../../guest/src', name), 'utf8')

const u8 = fc.integer({ min: 0, max: 255 })
const u16 = fc.integer({ min: 0, max: 65_535 })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const size = fc.maxSafeNat()
const id = fc.integer({ min: 1, max: 0xffff_ffff })
const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each))
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((each) => Buffer.from(each))
const text = fc.string({ unit: 'grapheme', maxLength: 40 })
/** As it is after it was made safe to show. */
const plainText = fc.stringMatching(/^[ -~]{0,40}$/)
const signed = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const stream = fc.constantFrom(1, 2)

const agentMessage: fc.Arbitrary<AgentMessage> = fc.oneof(
  fc.record({ kind: fc.constant('hello' as const), protocol: u16, agentVersion: plainText, bootId: fc.uuid() }),
  fc.record({ kind: fc.constant('ready' as const), uptimeMs: size }),
  fc.record({ kind: fc.constant('fault' as const), reason: plainText }),
  fc.record({ kind: fc.constantFrom('ok' as const, 'started' as const), channel: id, reply: bytes }),
  fc.record({ kind: fc.constant('error' as const), channel: id, errno: u16, message: plainText }),
  fc.record({ kind: fc.constant('output' as const), channel: id, stream, bytes: someBytes }),
  fc.record({ kind: fc.constant('outputEnd' as const), channel: id, stream }),
  fc.record({ kind: fc.constant('inputCredit' as const), channel: id, bytes: u32 }),
  fc.record({ kind: fc.constant('exit' as const), channel: id, code: u8, signal: fc.integer({ min: 0, max: 64 }) }),
)

const hostMessage: fc.Arbitrary<HostMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('exec' as const),
    channel: id,
    stdin: fc.boolean(),
    tty: fc.option(fc.record({ rows: u16, cols: u16 }), { nil: undefined }),
    user: text,
    cwd: text,
    argv: fc.array(text),
    env: fc.array(text),
  }),
  fc.record({ kind: fc.constant('stat' as const), channel: id, path: bytes, follow: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('list' as const, 'readlink' as const), channel: id, path: bytes }),
  fc.record({
    kind: fc.constant('read' as const),
    channel: id,
    path: bytes,
    offset: size,
    limit: fc.option(size, { nil: undefined }),
  }),
  fc.record({
    kind: fc.constant('write' as const),
    channel: id,
    path: bytes,
    mode: u32,
    owner: fc.option(fc.record({ uid: u32, gid: u32 }), { nil: undefined }),
    mtimeNs: fc.option(signed, { nil: undefined }),
  }),
  fc.record({ kind: fc.constant('mkdir' as const), channel: id, path: bytes, mode: u32, parents: fc.boolean() }),
  fc.record({ kind: fc.constant('remove' as const), channel: id, path: bytes, recursive: fc.boolean() }),
  fc.record({ kind: fc.constant('symlink' as const), channel: id, path: bytes, target: bytes }),
  fc.record({
    kind: fc.constantFrom('sync' as const, 'thaw' as const, 'begin' as const, 'inputEnd' as const, 'cancel' as const),
    channel: id,
  }),
  fc.record({
    kind: fc.constant('clock' as const),
    channel: id,
    unixNanoseconds: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  }),
  fc.record({ kind: fc.constant('identity' as const), channel: id, hostname: text, machineId: text, entropy: bytes }),
  fc.record({
    kind: fc.constant('trim' as const),
    channel: id,
    serial: fc.option(
      text.filter((each) => each !== ''),
      { nil: undefined },
    ),
  }),
  fc.record({ kind: fc.constant('mount' as const), channel: id, serial: text, path: bytes, readOnly: fc.boolean() }),
  fc.record({ kind: fc.constant('grow' as const), channel: id, serial: text, bytes: size }),
  fc.record({ kind: fc.constant('poweroff' as const), channel: id, graceMs: u32 }),
  fc.record({ kind: fc.constant('freeze' as const), channel: id, longestMs: u32 }),
  fc.record({ kind: fc.constant('input' as const), channel: id, bytes }),
  fc.record({ kind: fc.constant('outputCredit' as const), channel: id, stream, bytes: u32 }),
  fc.record({ kind: fc.constant('resize' as const), channel: id, rows: u16, cols: u16 }),
  fc.record({ kind: fc.constant('signal' as const), channel: id, number: u8 }),
)

/** The same bytes in pieces of these sizes, over and over. */
function cut(whole: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0, i = 0; at < whole.length; i++) {
    const length = sizes[i % sizes.length] ?? 1
    pieces.push(whole.subarray(at, at + length))
    at += length
  }
  return pieces
}

const sizes = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 8 })

function parse(pieces: readonly Buffer[]): Frame[] {
  const parser = new FrameParser()
  // As from a socket: whoever reads may reuse its buffer.
  return pieces.flatMap((piece) => parser.push(Buffer.from(piece)))
}

describe('both sides of the protocol', () => {
  test('whatever an agent says is read as it was meant, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(agentMessage, { maxLength: 8 }), sizes, (messages, cuts) => {
        const stream = Buffer.concat(messages.map(encodeAgentMessage))
        expect(parse(cut(stream, cuts)).map(decodeAgentMessage)).toEqual(messages)
      }),
    )
  })

  test('whatever a host says is read as it was meant', () => {
    fc.assert(
      fc.property(fc.array(hostMessage, { maxLength: 8 }), sizes, (messages, cuts) => {
        const stream = Buffer.concat(messages.map(encodeHostMessage))
        expect(parse(cut(stream, cuts)).map(decodeHostMessage)).toEqual(messages)
      }),
    )
  })

  test('a frame with the largest payload, byte by byte', () => {
    const payload = Buffer.alloc(agentLimits.maxPayload, 0xa5)
    const frame = encodeFrame({ type: frameTypes.OUTPUT, channel: 7, payload })
    const [parsed, ...more] = parse(cut(frame, [1]))
    expect(more).toEqual([])
    expect(parsed?.payload.equals(payload)).toBe(true)
  })

  test('a message that does not fit a frame is refused before it is sent', () => {
    const exec = { kind: 'exec', channel: 1, stdin: false, tty: undefined, user: '', cwd: '', env: [] } as const
    expect(() => encodeHostMessage({ ...exec, argv: ['x'.repeat(agentLimits.maxPayload)] })).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    )
  })
})

describe('a guest is not trusted', () => {
  test('arbitrary and damaged bytes give messages or a problem', () => {
    const damaged = fc
      .tuple(fc.array(agentMessage, { minLength: 1, maxLength: 4 }), fc.array(fc.tuple(fc.nat(), u8), { maxLength: 6 }))
      .map(([messages, changes]) => {
        const stream = Buffer.concat(messages.map(encodeAgentMessage))
        for (const [at, value] of changes) stream[at % stream.length] = value
        return stream
      })
    fc.assert(
      fc.property(fc.oneof(damaged, bytes), sizes, (stream, cuts) => {
        try {
          for (const frame of parse(cut(stream, cuts))) decodeAgentMessage(frame)
        } catch (error) {
          expect(isProblem(error, 'AGENT_PROTOCOL'), String(error)).toBe(true)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['a payload that is too long', [0x01, 0, 0x01, 0, 1, 0, 0, 0, 67, 0, 0, 0]],
    ['a type beyond a byte', [0, 0, 0, 0, 1, 0, 0, 0, 67, 1, 0, 0]],
  ])('%s is refused by its header', (_, header) => {
    expect(() => parse([Buffer.from(header)])).toThrow(expect.objectContaining({ code: 'AGENT_PROTOCOL' }))
  })

  test.each([
    ['a host message', frameTypes.EXEC, 1, []],
    ['an unknown type', 255, 1, []],
    ['a greeting on a channel', frameTypes.READY, 1, [0, 0, 0, 0, 0, 0, 0, 0]],
    ['an answer on no channel', frameTypes.OK, 0, []],
    ['an uptime beyond safe integers', frameTypes.READY, 0, [255, 255, 255, 255, 255, 255, 255, 255]],
    ['a short exit', frameTypes.EXIT, 1, [0]],
    ['a long exit', frameTypes.EXIT, 1, [0, 0, 0]],
    ['a signal that is none', frameTypes.EXIT, 1, [0, 65]],
    ['output without bytes', frameTypes.OUTPUT, 1, [1]],
    ['output on a third stream', frameTypes.OUTPUT, 1, [3, 1]],
    ['an error longer than it is', frameTypes.ERROR, 1, [2, 0, 9, 0, 0, 0, 0x61]],
    ['a boot id with a newline', frameTypes.HELLO, 0, [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 10]],
  ])('%s is no message', (_, type, channel, payload) => {
    const attempt = () => decodeAgentMessage({ type, channel, payload: Buffer.from(payload) })
    expect(attempt).toThrow(Problem)
    expect(attempt).toThrow(expect.objectContaining({ code: 'AGENT_PROTOCOL' }))
  })

  test('what it says about errors can be shown', () => {
    const message = { kind: 'error', channel: 1, errno: 2, message: '\u001b[2J no' } as const
    const [frame] = parse([encodeAgentMessage(message)])
    expect(frame && decodeAgentMessage(frame)).toMatchObject({ message: '\\x1b[2J no' })
  })
})

describe('directory entries', () => {
  const stat = fc.record({ mode: u32, uid: u32, gid: u32, size, mtimeNs: signed })
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 255 })
    .map((each) => Buffer.from(each.map((byte) => (byte === 0x2f || byte === 0 ? 0xff : byte))))
    .filter((each) => !['.', '..'].includes(each.toString('latin1')))
  const entry: fc.Arbitrary<GuestEntry> = fc.record({ name, stat })

  test('survive being sent, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), sizes, (entries, cuts) => {
        const reading = new DirectoryEntries()
        for (const piece of cut(Buffer.concat(entries.map(encodeDirectoryEntry)), cuts)) reading.push(piece)
        reading.end()
        expect(reading.entries).toEqual(entries)
      }),
    )
  })

  test.each(['', '.', '..', 'a/b', '/', 'a\0b', 'x'.repeat(256)])(
    'a name that leads elsewhere is refused: %j',
    (bad) => {
      const stat = { mode: 0, uid: 0, gid: 0, size: 0, mtimeNs: 0n }
      const reading = new DirectoryEntries()
      expect(() => reading.push(encodeDirectoryEntry({ name: Buffer.from(bad), stat }))).toThrow(
        expect.objectContaining({ code: 'AGENT_PROTOCOL' }),
      )
    },
  )

  test('a list that ends in the middle of an entry is refused', () => {
    const reading = new DirectoryEntries()
    reading.push(Buffer.from([5, 0, 0, 0, 0x61]))
    expect(() => reading.end()).toThrow(expect.objectContaining({ code: 'AGENT_PROTOCOL' }))
  })
})

describe('synchronisation', () => {
  const nonce = Buffer.from('0123456789abcdef')

  test('whatever comes before the nonce is passed over, however it is cut', () => {
    fc.assert(
      fc.property(bytes, bytes, sizes, (stale, rest, cuts) => {
        const finder = new NonceFinder(nonce)
        let found: Buffer | undefined
        for (const piece of cut(Buffer.concat([stale, nonce.subarray(0, 9), nonce, rest]), cuts)) {
          found = found === undefined ? finder.push(piece) : Buffer.concat([found, piece])
        }
        expect(found).toEqual(rest)
      }),
    )
  })

  test('a guest that never comes to the point is given up', () => {
    const finder = new NonceFinder(nonce)
    const chunk = Buffer.alloc(8 << 20)
    expect(() => {
      for (let i = 0; i < 9; i++) finder.push(chunk)
    }).toThrow(expect.objectContaining({ code: 'AGENT_PROTOCOL' }))
  })

  test('is the key and a nonce', () => {
    expect(encodeSync(Buffer.alloc(16, 1), nonce)).toEqual(Buffer.concat([Buffer.alloc(16, 1), nonce]))
    expect(() => encodeSync(Buffer.alloc(15), nonce)).toThrow(Problem)
  })
})

describe('host and guest are of one mind', () => {
  test('about the numbers of frames', () => {
    const inC = [...guestSource('protocol.h').matchAll(/^\tFRAME_(\w+) = (\d+),$/gm)]
    expect(Object.fromEntries(inC.map(([, name, number]) => [name, Number(number)]))).toEqual(frameTypes)
  })

  test('about limits and the version', () => {
    const defined = new Map(
      [...guestSource('protocol.h').matchAll(/^#define (\w+) (\d+)$/gm)].map(([, name, number]) => [
        name,
        Number(number),
      ]),
    )
    expect({
      headerBytes: defined.get('HEADER_BYTES'),
      maxPayload: defined.get('MAX_PAYLOAD'),
      nonceBytes: defined.get('NONCE_BYTES'),
      keyBytes: Number(/^#define KEY_BYTES (\d+)$/m.exec(guestSource('cmdline.h'))?.[1]),
      maxChannels: defined.get('MAX_CHANNELS'),
      outputWindow: defined.get('OUTPUT_WINDOW'),
      inputWindow: defined.get('INPUT_WINDOW'),
    }).toEqual(agentLimits)
    expect(defined.get('PROTOCOL_VERSION')).toBe(protocolVersion)
  })

  test('about boot failures', () => {
    const inC = [...guestSource('boot-failures.h').matchAll(/^\tfailure\((\d+), \w+, "(.*)"\)/gm)]
    expect(Object.fromEntries(inC.map(([, number, what]) => [Number(number), what]))).toEqual(bootFailures)
  })

  test('and the document that says so', () => {
    const document = readFileSync(join(import.meta.dirname, '../../../docs/agent-protocol.md'), 'utf8')
    const frames = [...document.matchAll(/^\| (\d+) \| ([A-Z_]+) \|/gm)].map(([, number, name]) => [
      name,
      Number(number),
    ])
    expect(Object.fromEntries(frames)).toEqual(frameTypes)
    const failures = [...document.matchAll(/^\| (\d+) \| ([a-z].*?) \|/gm)].map(([, number, what]) => [
      Number(number),
      what,
    ])
    expect(Object.fromEntries(failures)).toEqual(bootFailures)
  })
})

describe('boot failures', () => {
  test('the last one on the console counts, with its reason', () => {
    const log = [
      '[    1.2] something\r',
      "cowshed: boot failure 2: no drive with the serial 'lower'\r",
      'cowshed: boot failure 3: cannot mount the lower (erofs): Invalid argument\u001b[0m\r',
      '[    1.3] reboot: Power down\r',
      '',
    ].join('\n')
    expect(findBootFailure(log)).toEqual({
      number: 3,
      text: 'cannot mount the lower (erofs): Invalid argument\\x1b[0m',
    })
  })

  test.each(['', 'cowshed: probe ok', 'cowshed: boot failure 999: x', ' cowshed: boot failure 1: indented'])(
    'none in %j',
    (log) => {
      expect(findBootFailure(log)).toBeUndefined()
    },
  )
})

describe("Linux's numbers", () => {
  test('of signals, with and without SIG', () => {
    expect([signalNumber('SIGTERM'), signalNumber('KILL'), signalNumber('toString'), signalNumber('')]).toEqual([
      15,
      9,
      undefined,
      undefined,
    ])
    expect([signalName(2), signalName(40)]).toEqual(['SIGINT', 'SIG40'])
  })

  test('of errors', () => {
    expect([errnoName(2), errnoName(999), errnoNumber('EBUSY'), errnoNumber('constructor')]).toEqual([
      'ENOENT',
      'errno 999',
      16,
      undefined,
    ])
    expect([isMissing(2), isMissing(20), isMissing(13)]).toEqual([true, true, false])
  })
})
