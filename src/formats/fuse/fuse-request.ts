import { fuseOpcodes } from './protocol.ts'

/** What the kernel asks of whoever serves one file. */
export type FuseRequest = {
  /** What the reply has to carry; never a number to reckon with. */
  readonly unique: bigint
} & FuseBody

export type FuseBody =
  | {
      readonly kind: 'init'
      readonly major: number
      readonly minor: number
      /** In bytes. */
      readonly maxReadahead: number
      /** As fuseFeatures has them. */
      readonly features: bigint
    }
  /** Flags as open(2) has them. */
  | { readonly kind: 'open'; readonly flags: number }
  | { readonly kind: 'release'; readonly handle: number }
  | { readonly kind: 'read'; readonly offset: number; readonly length: number }
  | { readonly kind: 'seek'; readonly offset: number; readonly whence: number }
  /** Whoever asked that waits no longer. */
  | { readonly kind: 'interrupt'; readonly of: bigint }
  | { readonly kind: 'getAttributes' | 'statfs' | 'access' | 'write' | 'destroy' }
  /** These are not answered. */
  | { readonly kind: 'forget' }
  /** Shorter than it must be: of a kernel that cowshed does not know. */
  | { readonly kind: 'unknown'; readonly opcode: number }

const headerBytes = 40

/**
 * Takes apart one request, as one read(2) of /dev/fuse gives it.
 *
 * @returns undefined when it has not even a whole header
 * @see include/uapi/linux/fuse.h, struct fuse_in_header and those that are called fuse_*_in
 */
export function decodeFuseRequest(bytes: Buffer): FuseRequest | undefined {
  if (bytes.length < headerBytes || bytes.readUInt32LE(0) !== bytes.length) return undefined
  const opcode = bytes.readUInt32LE(4)
  return { unique: bytes.readBigUInt64LE(8), ...bodyOf(opcode, bytes.subarray(headerBytes)) }
}

function bodyOf(opcode: number, body: Buffer): FuseBody {
  const unknown = { kind: 'unknown', opcode } as const
  switch (opcode) {
    case fuseOpcodes.read:
      return body.length < 20 ? unknown : { kind: 'read', offset: numberAt(body, 8), length: body.readUInt32LE(16) }
    case fuseOpcodes.init:
      return body.length < 16 ? unknown : initOf(body)
    case fuseOpcodes.open:
      return body.length < 4 ? unknown : { kind: 'open', flags: body.readUInt32LE(0) }
    case fuseOpcodes.release:
      return body.length < 8 ? unknown : { kind: 'release', handle: numberAt(body, 0) }
    case fuseOpcodes.seek:
      return body.length < 20 ? unknown : { kind: 'seek', offset: numberAt(body, 8), whence: body.readUInt32LE(16) }
    case fuseOpcodes.interrupt:
      return body.length < 8 ? unknown : { kind: 'interrupt', of: body.readBigUInt64LE(0) }
    case fuseOpcodes.forget:
    case fuseOpcodes.batchForget:
      return { kind: 'forget' }
    default:
      return { kind: plain.get(opcode) ?? 'unknown', opcode } as FuseBody
  }
}

/** Those of which nothing need be known but what they are. */
const plain = new Map<number, 'getAttributes' | 'statfs' | 'access' | 'write' | 'destroy'>([
  [fuseOpcodes.getAttributes, 'getAttributes'],
  [fuseOpcodes.statfs, 'statfs'],
  [fuseOpcodes.access, 'access'],
  [fuseOpcodes.write, 'write'],
  [fuseOpcodes.destroy, 'destroy'],
])

function initOf(body: Buffer): FuseBody {
  const features = BigInt(body.readUInt32LE(12)) | (body.length < 20 ? 0n : BigInt(body.readUInt32LE(16)) << 32n)
  return {
    kind: 'init',
    major: body.readUInt32LE(0),
    minor: body.readUInt32LE(4),
    maxReadahead: body.readUInt32LE(8),
    features,
  }
}

/** Beyond 2^53 it is rounded, and larger than any file. */
function numberAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
}
