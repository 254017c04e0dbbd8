import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { needs } from '../../test/support/needs.ts'
import { type DecompressOptions, decompress, runTool, sniffCompression } from './index.ts'

const damaged = { code: 'COMPRESSION_INVALID' }

describe.each<Pick<DecompressOptions, 'compression' | 'thread'>>([
  { compression: 'gzip' },
  { compression: 'gzip', thread: 'here' },
  { compression: 'zstd' },
])('$compression $thread', (how) => {
  const encode = how.compression === 'gzip' ? (data: Uint8Array) => gzipSync(data, { level: 1 }) : zstdFrame
  const decode = (bytes: Uint8Array, cuts: readonly number[] = []) => collect(decompress(pieces(bytes, cuts), how))

  test('any members, cut anywhere, come out whole', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 4 }), cuts, async (contents, cutAt) => {
        const stream = Buffer.concat(contents.map(encode))
        expect((await decode(stream, cutAt)).equals(Buffer.concat(contents))).toBe(true)
      }),
      { numRuns: 60 },
    )
  })

  test('a stream that is cut short anywhere is damaged, unless it is cut between members', async () => {
    const first = encode(Buffer.from('first '.repeat(20)))
    const stream = Buffer.concat([first, encode(Buffer.from('second'))])
    for (let length = 0; length < stream.length; length++) {
      const attempt = decode(stream.subarray(0, length), [length - 1])
      if (length === first.length) expect((await attempt).toString()).toBe('first '.repeat(20))
      else await expect(attempt, `${length} bytes`).rejects.toMatchObject(damaged)
    }
  })

  test('damage that is found while the consumer is busy waits for it', async () => {
    const stream = Buffer.concat([encode(Buffer.alloc(700 << 10, 'x')), Buffer.alloc(100, 0xfe)])
    const read = async () => {
      // An error that nobody waited for would end the process.
      for await (const _ of decompress(pieces(stream), how)) await sleep(20)
    }
    await expect(read()).rejects.toMatchObject(damaged)
  })

  test('bytes of any kind give a problem or a value', async () => {
    const flipped = fc.tuple(content, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([data, at, xor]) => {
      const stream = Buffer.from(encode(data))
      const index = at % stream.length
      stream.writeUInt8((stream[index] ?? 0) ^ xor, index)
      return stream
    })
    await fc.assert(
      fc.asyncProperty(fc.oneof(flipped, fc.uint8Array({ maxLength: 200 })), cuts, async (bytes, cutAt) => {
        const outcome = await decode(bytes, cutAt).catch((error: unknown) => error)
        if (!Buffer.isBuffer(outcome)) expect(outcome).toMatchObject(damaged)
      }),
      { numRuns: 100 },
    )
  })

  test('junk after the end is found, wherever pieces begin', async () => {
    const stream = encode(Buffer.from('content'))
    for (const junk of ['x', '\0x', `${'\0'.repeat(200_000)}x`, 'x'.repeat(100_000)]) {
      const bytes = Buffer.concat([stream, Buffer.from(junk)])
      for (const cut of [0, stream.length - 1, stream.length, stream.length + 1]) {
        await expect(decode(bytes, [cut])).rejects.toMatchObject(damaged)
      }
    }
  })

  test('a bomb is stopped at its limit', async () => {
    const bomb = encode(Buffer.alloc(4 << 20))
    const limited = decompress(pieces(bomb), { ...how, maxBytes: 1 << 20 })
    await expect(collect(limited)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    const exact = decompress(pieces(bomb), { ...how, maxBytes: 4 << 20 })
    expect((await collect(exact)).length).toBe(4 << 20)
  })

  test('what the source throws passes through', async () => {
    const failing = async function* () {
      yield encode(Buffer.from('content'))
      throw new TypeError('the network went')
    }
    await expect(collect(decompress(failing(), how))).rejects.toThrow(new TypeError('the network went'))
  })

  test('a consumer that stops early closes the source, and is not read for', async () => {
    const stream = encode(randomBytes(8 << 20))
    let given = 0
    let closed: () => void = () => {}
    const closing = new Promise<void>((resolve) => {
      closed = resolve
    })
    const source = async function* () {
      try {
        for await (const piece of pieces(
          stream,
          Array.from({ length: 128 }, (_, i) => (i + 1) * 65_536),
        )) {
          given += piece.length
          yield piece
        }
      } finally {
        closed()
      }
    }
    for await (const piece of decompress(source(), how)) {
      expect(piece.length).toBeLessThanOrEqual(256 * 1024)
      // Time enough for a decompressor without bounds to run away.
      await new Promise((resolve) => setTimeout(resolve, 50))
      break
    }
    await closing
    expect(given).toBeLessThan(4 << 20)
  })
})

describe.each(['pool', 'here'] as const)('gzip on the thread %s', (thread) => {
  const decode = (bytes: Uint8Array, cutAt: readonly number[] = []) =>
    collect(decompress(pieces(bytes, cutAt), { compression: 'gzip', thread }))

  test('zero padding after the end is tolerated, wherever pieces begin', async () => {
    await fc.assert(
      fc.asyncProperty(content, fc.nat(200_000), cuts, async (data, zeros, cutAt) => {
        const stream = gzipSync(data, { level: 1 })
        const bytes = Buffer.concat([stream, Buffer.alloc(zeros)])
        for (const cut of [cutAt, [stream.length], [stream.length, stream.length + 1]]) {
          expect((await decode(bytes, cut)).equals(Buffer.from(data))).toBe(true)
        }
      }),
      { numRuns: 20 },
    )
  })

  test('a wrong checksum or length is damage', async () => {
    const stream = gzipSync('content')
    for (let i = 1; i <= 8; i++) {
      const bytes = Buffer.from(stream)
      bytes.writeUInt8((bytes[bytes.length - i] ?? 0) ^ 1, bytes.length - i)
      await expect(decode(bytes)).rejects.toMatchObject(damaged)
    }
  })

  test('zeros between members are not padding', async () => {
    const member = gzipSync('content')
    await expect(decode(Buffer.concat([member, Buffer.alloc(512), member]))).rejects.toMatchObject(damaged)
  })
})

describe.runIf(needs({ tools: ['zstd'] }))('zstd', () => {
  const decode = (bytes: Uint8Array, cutAt: readonly number[] = []) =>
    collect(decompress(pieces(bytes, cutAt), { compression: 'zstd' }))
  const compress = async (data: Buffer, ...options: string[]) =>
    (await runTool('zstd', ['-c', ...options], { input: data })).stdout

  test('real frames, skippable ones among them, in pieces of any size', async () => {
    const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `line ${i * i}\n`).join(''))
    const noise = randomBytes(300_000)
    const stream = Buffer.concat([
      skippable(Buffer.from('chunk table')),
      await compress(text, '-19'),
      skippable(Buffer.alloc(0)),
      await compress(noise, '-1'),
      await compress(Buffer.alloc(0)),
      await compress(text, '-3', '--no-check'),
      skippable(randomBytes(100_000)),
    ])
    const whole = Buffer.concat([text, noise, text])
    expect(sniffCompression(stream)).toBe('zstd')
    for (const size of [1000, 65_536, 1 << 20, stream.length]) {
      const cutAt = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) => (i + 1) * size)
      expect((await decode(stream, cutAt)).equals(whole), `pieces of ${size}`).toBe(true)
    }
  })

  test('a wrong checksum is damage', async () => {
    const stream = await compress(Buffer.from('content'), '--check')
    stream.writeUInt8((stream[stream.length - 1] ?? 0) ^ 1, stream.length - 1)
    await expect(decode(stream)).rejects.toMatchObject(damaged)
  })

  test('windows of 128 MiB are opened, larger ones refused', async () => {
    // The window of a frame that is fed as a stream is what was asked for, whatever its content.
    const tooLong = await compress(Buffer.from('content'.repeat(10)), '--ultra', '-22', '--long=28')
    await expect(decode(tooLong)).rejects.toMatchObject(damaged)
    const long = await compress(Buffer.from('content'.repeat(10)), '--long=27')
    expect((await decode(long)).toString()).toBe('content'.repeat(10))
  })
})

test('plain streams pass as they are, with their limit', async () => {
  const stream = () => pieces(Buffer.from('abcdef'), [2, 4])
  expect((await collect(decompress(stream(), { compression: 'none' }))).toString()).toBe('abcdef')
  const limited = collect(decompress(stream(), { compression: 'none', maxBytes: 5 }))
  await expect(limited).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
})

test('compression is seen by its first bytes', () => {
  expect(sniffCompression(gzipSync(''))).toBe('gzip')
  expect(sniffCompression(zstdFrame(Buffer.alloc(0)))).toBe('zstd')
  for (let kind = 0; kind < 16; kind++) expect(sniffCompression(skippable(Buffer.alloc(0), kind))).toBe('zstd')
  for (const plain of ['', '\x1f', '\x28\xb5\x2f', 'ustar', 'PK\x03\x04']) {
    expect(sniffCompression(Buffer.from(plain, 'latin1'))).toBe('none')
  }
})

const content = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 0, max: 600_000 }))
    .map(([unit, length]) => {
      return new Uint8Array(Buffer.alloc(length, unit))
    }),
)

const cuts = fc.array(fc.nat(2000), { maxLength: 8 })

/** The stream in pieces that end at these offsets. */
async function* pieces(bytes: Uint8Array, cutAt: readonly number[] = []): AsyncGenerator<Buffer> {
  const buffer = Buffer.from(bytes)
  const edges = [...cutAt].filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b)
  let from = 0
  for (const edge of [...edges, bytes.length]) {
    yield buffer.subarray(from, edge)
    from = edge
  }
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  // Some pieces are ours only until the next one.
  for await (const piece of stream) all.push(Buffer.from(piece))
  return Buffer.concat(all)
}

/** A zstd frame (RFC 8878 section 3.1.1) of raw blocks, and of an RLE block where all bytes are alike. */
function zstdFrame(data: Uint8Array): Buffer {
  const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0])
  header.writeUInt32LE(data.length, 5)
  const out = [header]
  let at = 0
  do {
    const block = Buffer.from(data.subarray(at, at + 128 * 1024))
    at += block.length
    const alike = block.length > 1 && block.every((byte) => byte === block[0])
    const blockHeader = Buffer.alloc(3)
    blockHeader.writeUIntLE((at >= data.length ? 1 : 0) + (alike ? 2 : 0) + block.length * 8, 0, 3)
    out.push(blockHeader, alike ? block.subarray(0, 1) : block)
  } while (at < data.length)
  return Buffer.concat(out)
}

/** RFC 8878 section 3.1.2 */
function skippable(data: Buffer, kind = 0): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt32LE(0x184d2a50 + kind, 0)
  header.writeUInt32LE(data.length, 4)
  return Buffer.concat([header, data])
}
