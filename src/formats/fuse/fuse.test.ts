import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  encodeFuseAttributes,
  encodeFuseError,
  encodeFuseHeader,
  encodeFuseInit,
  encodeFuseOpen,
  encodeFuseSeek,
  encodeFuseStatfs,
} from './fuse-replies.ts'
import { decodeFuseRequest } from './fuse-request.ts'
import { fuseFeatures, fuseOpcodes, fuseOpenFlags } from './protocol.ts'

const u32 = fc.nat({ max: 0xffff_ffff })
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const number = fc.maxSafeNat()

/** As struct fuse_in_header has it, with a body of these numbers, of 4 or 8 bytes each. */
function request(opcode: number, unique: bigint, body: readonly (readonly [4 | 8, number | bigint])[]): Buffer {
  const bytes = Buffer.alloc(40 + body.reduce((sum, [size]) => sum + size, 0), 0)
  bytes.writeUInt32LE(bytes.length, 0)
  bytes.writeUInt32LE(opcode, 4)
  bytes.writeBigUInt64LE(unique, 8)
  bytes.writeBigUInt64LE(1n, 16)
  let at = 40
  for (const [size, value] of body) {
    if (size === 4) bytes.writeUInt32LE(Number(value), at)
    else bytes.writeBigUInt64LE(BigInt(value), at)
    at += size
  }
  return bytes
}

describe('what the kernel asks', () => {
  test('is understood: reads and where something is', () => {
    fc.assert(
      fc.property(u64, number, number, u32, (unique, handle, offset, length) => {
        // struct fuse_read_in: fh, offset, size, read_flags, lock_owner, flags, padding
        const body = [
          [8, handle],
          [8, offset],
          [4, length],
          [4, 0],
          [8, 0],
          [4, 0],
          [4, 0],
        ] as const
        expect(decodeFuseRequest(request(fuseOpcodes.read, unique, body))).toEqual({
          ...{ kind: 'read', unique, offset, length },
        })
        // struct fuse_lseek_in: fh, offset, whence, padding
        const seek = request(fuseOpcodes.seek, unique, [
          [8, handle],
          [8, offset],
          [4, length],
          [4, 0],
        ])
        expect(decodeFuseRequest(seek)).toEqual({ kind: 'seek', unique, offset, whence: length })
      }),
    )
  })

  test('is understood: what it is about to open and has closed, and whom nobody waits for any more', () => {
    fc.assert(
      fc.property(u64, number, u32, u64, (unique, handle, flags, of) => {
        expect(
          decodeFuseRequest(
            request(fuseOpcodes.open, unique, [
              [4, flags],
              [4, 0],
            ]),
          ),
        ).toEqual({
          ...{ kind: 'open', unique, flags },
        })
        const release = request(fuseOpcodes.release, unique, [
          [8, handle],
          [4, 0],
          [4, 0],
          [8, 0],
        ])
        expect(decodeFuseRequest(release)).toEqual({ kind: 'release', unique, handle })
        expect(decodeFuseRequest(request(fuseOpcodes.interrupt, unique, [[8, of]]))).toEqual({
          ...{ kind: 'interrupt', unique, of },
        })
      }),
    )
  })

  test('is understood: what it can do, of kernels with 32 and with 64 features', () => {
    const short = request(fuseOpcodes.init, 2n, [
      [4, 7],
      [4, 27],
      [4, 131072],
      [4, fuseFeatures.maxPages],
    ])
    expect(decodeFuseRequest(short)).toEqual({
      ...{ kind: 'init', unique: 2n, major: 7, minor: 27, maxReadahead: 131072, features: fuseFeatures.maxPages },
    })
    const flags2 = fuseFeatures.passthrough >> 32n
    const long = request(fuseOpcodes.init, 2n, [
      [4, 7],
      [4, 44],
      [4, 131072],
      [4, 1],
      [4, flags2],
      [8, 0],
    ])
    expect(decodeFuseRequest(long)).toMatchObject({ features: fuseFeatures.passthrough | fuseFeatures.asyncRead })
  })

  test('is a request or none, whatever it is, and nothing behind its end is read', () => {
    const kinds = fc.oneof(fc.constantFrom(...Object.values(fuseOpcodes)), u32)
    fc.assert(
      fc.property(kinds, u64, fc.uint8Array({ maxLength: 80 }), (opcode, unique, body) => {
        const bytes = Buffer.concat([request(opcode, unique, []), body])
        if (body.length > 0) expect(decodeFuseRequest(bytes)).toBeUndefined()
        bytes.writeUInt32LE(bytes.length, 0)
        expect(decodeFuseRequest(bytes)).toMatchObject({ unique })
      }),
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeFuseRequest(Buffer.from(bytes))))
  })
})

describe('what it is answered', () => {
  test('says how long it is and to whom', () => {
    fc.assert(
      fc.property(u64, fc.nat({ max: 1 << 20 }), fc.nat({ max: 133 }), (unique, payload, errno) => {
        const header = encodeFuseHeader(unique, payload)
        expect([header.length, header.readUInt32LE(0), header.readInt32LE(4)]).toEqual([16, 16 + payload, 0])
        expect(header.readBigUInt64LE(8)).toBe(unique)
        const error = encodeFuseError(unique, errno)
        expect([error.length, error.readUInt32LE(0), error.readInt32LE(4)]).toEqual([16, 16, 0 - errno])
      }),
    )
  })

  test('has the places of the kernel’s structures', () => {
    const agreement = { maxReadahead: 5, maxPages: 256, maxBackground: 64, maxStackDepth: 1 }
    const init = encodeFuseInit({ ...agreement, features: fuseFeatures.passthrough | fuseFeatures.extended })
    expect([init.length, init.readUInt32LE(0), init.readUInt32LE(8)]).toEqual([64, 7, 5])
    expect([init.readUInt32LE(12), init.readUInt16LE(16), init.readUInt16LE(28)]).toEqual([2 ** 30, 64, 256])
    expect([init.readUInt32LE(32), init.readUInt32LE(36)]).toEqual([32, 1])
    const file = { bytes: 3 * 4096 + 1, storedBytes: 4097, mode: 0o100440, owner: 5, group: 6, modifiedSeconds: 77 }
    const attributes = encodeFuseAttributes(file)
    expect(attributes.length).toBe(104)
    expect([attributes.readBigUInt64LE(24), attributes.readBigUInt64LE(32)]).toEqual([12289n, 9n])
    expect([attributes.readUInt32LE(76), attributes.readUInt32LE(84), attributes.readUInt32LE(88)]).toEqual([
      ...[0o100440, 5, 6],
    ])
    const open = encodeFuseOpen(9, fuseOpenFlags.passthrough, 4)
    expect([open.length, open.readBigUInt64LE(0), open.readUInt32LE(8), open.readInt32LE(12)]).toEqual([16, 9n, 128, 4])
    expect([encodeFuseStatfs(8193).length, encodeFuseStatfs(8193).readBigUInt64LE(0)]).toEqual([80, 3n])
    expect(encodeFuseSeek(2 ** 40).readBigUInt64LE(0)).toBe(2n ** 40n)
  })
})
