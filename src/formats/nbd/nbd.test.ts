import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import { type NbdMessage, NbdParser } from './nbd-parser.ts'
import { decodeExportChoice, decodeMetaQuery } from './option-data.ts'
import { nbdCommands, nbdLimits, nbdMagic } from './protocol.ts'

const u16 = fc.nat({ max: 0xffff })
const u32 = fc.nat({ max: 0xffff_ffff })

const option = fc.record({ option: u32, data: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) })
const request = fc.record({
  flags: u16,
  command: fc.oneof(fc.constantFrom(...Object.values(nbdCommands)), u16),
  cookie: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  offset: fc.maxSafeNat(),
  length: fc.nat({ max: 5000 }),
})

describe('what clients send', () => {
  test('is the same however it is chunked, and what a write brings is passed over', () => {
    fc.assert(
      fc.property(u32, fc.array(option), fc.array(request), fc.nat({ max: 60 }), (flags, options, requests, step) => {
        const bytes = Buffer.concat([flagBytes(flags), ...options.map(optionBytes), ...requests.map(requestBytes)])
        const expected: NbdMessage[] = [
          { kind: 'flags', flags },
          ...options.map((one) => ({ kind: 'option' as const, ...one })),
          ...requests.map((one) => ({ kind: 'request' as const, ...one })),
        ]
        expect(parse(pieces(bytes, step + 1), options.length)).toEqual(expected)
      }),
    )
  })

  test('is understood or is a Problem, whatever it is', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), fc.boolean(), (chunks, transmits) => {
        const parser = new NbdParser()
        if (transmits) parser.transmit()
        try {
          for (const chunk of chunks) for (const _ of parser.push(Buffer.from(chunk)));
        } catch (error) {
          expect(isProblem(error, 'NBD_PROTOCOL')).toBe(true)
        }
      }),
    )
  })

  test('is refused before anything is kept of it, when an option is too long', () => {
    const bytes = optionBytes({ option: 7, data: Buffer.alloc(0) })
    bytes.writeUInt32BE(nbdLimits.optionBytes + 1, 12)
    expect(() => parse([flagBytes(3), bytes], 1)).toThrow(`an option of ${nbdLimits.optionBytes + 1} bytes`)
  })
})

describe('the data of an option', () => {
  test('is a value or nothing, whatever it is', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        decodeExportChoice(Buffer.from(bytes))
        decodeMetaQuery(Buffer.from(bytes))
      }),
    )
  })

  test('says which export, and what of it', () => {
    const data = Buffer.from('0000000161000200000003', 'hex')
    expect(decodeExportChoice(data)).toEqual({ name: 'a', wanted: [0, 3] })
    expect(decodeExportChoice(data.subarray(0, -1))).toBeUndefined()
    expect(decodeExportChoice(Buffer.concat([data, Buffer.alloc(1)]))).toBeUndefined()
  })

  test('says which contexts', () => {
    const data = Buffer.from('0000000161000000020000000462617365000000017a', 'hex')
    expect(decodeMetaQuery(data)).toEqual({ name: 'a', queries: ['base', 'z'] })
    expect(decodeMetaQuery(data.subarray(0, -1))).toBeUndefined()
  })
})

function parse(chunks: readonly Buffer[], options: number): NbdMessage[] {
  const parser = new NbdParser()
  const found: NbdMessage[] = []
  for (const chunk of chunks) {
    for (const message of parser.push(chunk)) {
      found.push(message)
      if (found.length === options + 1) parser.transmit()
    }
  }
  return found
}

function pieces(bytes: Buffer, step: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / step) }, (_, at) => bytes.subarray(at * step, (at + 1) * step))
}

function flagBytes(flags: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(flags)
  return bytes
}

function optionBytes({ option, data }: { option: number; data: Buffer }): Buffer {
  const header = Buffer.alloc(16)
  header.writeBigUInt64BE(nbdMagic.option, 0)
  header.writeUInt32BE(option, 8)
  header.writeUInt32BE(data.length, 12)
  return Buffer.concat([header, data])
}

interface SentRequest {
  readonly flags: number
  readonly command: number
  readonly cookie: bigint
  readonly offset: number
  readonly length: number
}

function requestBytes({ flags, command, cookie, offset, length }: SentRequest): Buffer {
  const header = Buffer.alloc(28)
  header.writeUInt32BE(nbdMagic.request, 0)
  header.writeUInt16BE(flags, 4)
  header.writeUInt16BE(command, 6)
  header.writeBigUInt64BE(cookie, 8)
  header.writeBigUInt64BE(BigInt(offset), 16)
  header.writeUInt32BE(length, 24)
  return command === nbdCommands.write ? Buffer.concat([header, Buffer.alloc(length, 1)]) : header
}
