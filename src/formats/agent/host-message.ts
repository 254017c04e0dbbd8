import { Problem } from '../../base/index.ts'
import { type ByteReader, ByteWriter } from './bytes.ts'
import { encodeFrame, type Frame } from './frame-parser.ts'
import { agentLimits, frameTypes } from './protocol.ts'
import { whole } from './replies.ts'

/** Everything that a host says. The first group opens channels, the second is about channels that are open. */
export type HostMessage = { readonly channel: number } & (Request | Follow)

type Request =
  | {
      readonly kind: 'exec'
      readonly stdin: boolean
      readonly tty: { readonly rows: number; readonly cols: number } | undefined
      readonly user: string
      readonly cwd: string
      readonly argv: readonly string[]
      /** KEY=VALUE */
      readonly env: readonly string[]
    }
  | { readonly kind: 'stat'; readonly path: Buffer; readonly follow: boolean }
  | { readonly kind: 'list' | 'readlink'; readonly path: Buffer }
  /** `limit` undefined: to the end of the file. */
  | { readonly kind: 'read'; readonly path: Buffer; readonly offset: number; readonly limit: number | undefined }
  | {
      readonly kind: 'write'
      readonly path: Buffer
      readonly mode: number
      readonly owner: { readonly uid: number; readonly gid: number } | undefined
      readonly mtimeNs: bigint | undefined
    }
  | { readonly kind: 'mkdir'; readonly path: Buffer; readonly mode: number; readonly parents: boolean }
  | { readonly kind: 'remove'; readonly path: Buffer; readonly recursive: boolean }
  | { readonly kind: 'symlink'; readonly path: Buffer; readonly target: Buffer }
  | { readonly kind: 'sync' | 'thaw' | 'begin' }
  /** The guest thaws by itself after so long. */
  | { readonly kind: 'freeze'; readonly longestMs: number }
  /** Without a serial: the filesystem of the root. */
  | { readonly kind: 'trim'; readonly serial: string | undefined }
  | { readonly kind: 'clock'; readonly unixNanoseconds: bigint }
  | { readonly kind: 'identity'; readonly hostname: string; readonly machineId: string; readonly entropy: Buffer }
  | { readonly kind: 'poweroff'; readonly graceMs: number }
  | { readonly kind: 'mount'; readonly serial: string; readonly path: Buffer; readonly readOnly: boolean }
  | { readonly kind: 'grow'; readonly serial: string; readonly bytes: number }

type Follow =
  | { readonly kind: 'input'; readonly bytes: Buffer }
  | { readonly kind: 'inputEnd' | 'cancel' }
  | { readonly kind: 'outputCredit'; readonly stream: number; readonly bytes: number }
  | { readonly kind: 'resize'; readonly rows: number; readonly cols: number }
  | { readonly kind: 'signal'; readonly number: number }

const typeOfKind = {
  exec: frameTypes.EXEC,
  stat: frameTypes.STAT,
  list: frameTypes.LIST,
  read: frameTypes.READ,
  write: frameTypes.WRITE,
  mkdir: frameTypes.MKDIR,
  remove: frameTypes.REMOVE,
  symlink: frameTypes.SYMLINK,
  readlink: frameTypes.READLINK,
  sync: frameTypes.SYNC,
  freeze: frameTypes.FREEZE,
  thaw: frameTypes.THAW,
  trim: frameTypes.TRIM,
  clock: frameTypes.CLOCK,
  identity: frameTypes.IDENTITY,
  poweroff: frameTypes.POWEROFF,
  mount: frameTypes.MOUNT,
  grow: frameTypes.GROW,
  begin: frameTypes.BEGIN,
  input: frameTypes.INPUT,
  inputEnd: frameTypes.INPUT_END,
  outputCredit: frameTypes.OUTPUT_CREDIT,
  resize: frameTypes.RESIZE,
  signal: frameTypes.SIGNAL,
  cancel: frameTypes.CANCEL,
} as const satisfies Record<HostMessage['kind'], number>

const flags = { stdin: 1, tty: 2, owner: 1, mtime: 2, parents: 1, recursive: 1, follow: 1, readOnly: 1 } as const
const toTheEnd = 0xffff_ffff_ffff_ffffn

/** @throws Problem INVALID_REQUEST when a message is too long for one frame */
export function encodeHostMessage(message: HostMessage): Buffer {
  const bytes = new ByteWriter()
  writePayload(bytes, message)
  return encodeFrame({ type: typeOfKind[message.kind], channel: message.channel, payload: bytes.finish() })
}

function writePayload(bytes: ByteWriter, message: HostMessage): void {
  switch (message.kind) {
    case 'exec': {
      const { tty, argv, env } = message
      bytes.u8((message.stdin ? flags.stdin : 0) | (tty ? flags.tty : 0))
      bytes.u16(tty?.rows ?? 0).u16(tty?.cols ?? 0)
      bytes.text(message.user).text(message.cwd).u32(argv.length).u32(env.length)
      for (const text of [...argv, ...env]) bytes.text(text)
      return
    }
    case 'stat':
      bytes.u8(message.follow ? flags.follow : 0).bytes(message.path)
      return
    case 'list':
    case 'readlink':
      bytes.bytes(message.path)
      return
    case 'read':
      bytes
        .u64(message.offset)
        .u64(message.limit ?? toTheEnd)
        .bytes(message.path)
      return
    case 'write': {
      const { owner, mtimeNs } = message
      bytes.u8((owner ? flags.owner : 0) | (mtimeNs === undefined ? 0 : flags.mtime)).u32(message.mode)
      bytes
        .u32(owner?.uid ?? 0)
        .u32(owner?.gid ?? 0)
        .u64(BigInt.asUintN(64, mtimeNs ?? 0n))
        .bytes(message.path)
      return
    }
    case 'mkdir':
      bytes
        .u8(message.parents ? flags.parents : 0)
        .u32(message.mode)
        .bytes(message.path)
      return
    case 'remove':
      bytes.u8(message.recursive ? flags.recursive : 0).bytes(message.path)
      return
    case 'symlink':
      bytes.bytes(message.target).bytes(message.path)
      return
    case 'clock':
      bytes.u64(message.unixNanoseconds)
      return
    case 'identity':
      bytes.text(message.hostname).text(message.machineId).bytes(message.entropy)
      return
    case 'poweroff':
      bytes.u32(message.graceMs)
      return
    case 'input':
      bytes.raw(message.bytes)
      return
    case 'outputCredit':
      bytes.u8(message.stream).u32(message.bytes)
      return
    case 'resize':
      bytes.u16(message.rows).u16(message.cols)
      return
    case 'signal':
      bytes.u8(message.number)
      return
    case 'trim':
      if (message.serial !== undefined) bytes.text(message.serial)
      return
    case 'mount':
      bytes
        .u8(message.readOnly ? flags.readOnly : 0)
        .text(message.serial)
        .bytes(message.path)
      return
    case 'grow':
      bytes.text(message.serial).u64(message.bytes)
      return
    case 'freeze':
      bytes.u32(message.longestMs)
      return
    case 'sync':
    case 'thaw':
    case 'begin':
    case 'inputEnd':
    case 'cancel':
      return
  }
}

/** The agent's own reading of these, in C, is in guest/src; this one is for those who test against it. @throws Problem AGENT_PROTOCOL */
export function decodeHostMessage({ type, channel, payload }: Frame): HostMessage {
  const kind = kinds.find((each) => typeOfKind[each] === type)
  if (kind === undefined) throw new Problem('AGENT_PROTOCOL', `the host sent a frame of type ${type}`)
  return whole(payload, kind, (reader) => ({ channel, ...readPayload(kind, reader) }))
}

const kinds = Object.keys(typeOfKind) as HostMessage['kind'][]

function readPayload(kind: HostMessage['kind'], reader: ByteReader): Request | Follow {
  const path = () => reader.bytes(agentLimits.maxPayload)
  const text = () => reader.text(agentLimits.maxPayload)
  switch (kind) {
    case 'exec':
      return readExec(reader)
    case 'stat':
      return { kind, follow: reader.u8() === flags.follow, path: path() }
    case 'list':
    case 'readlink':
      return { kind, path: path() }
    case 'read': {
      const offset = reader.size()
      const limit = reader.u64()
      return { kind, offset, limit: limit === toTheEnd ? undefined : Number(limit), path: path() }
    }
    case 'write':
      return readWrite(reader)
    case 'mkdir':
      return { kind, parents: reader.u8() === flags.parents, mode: reader.u32(), path: path() }
    case 'remove':
      return { kind, recursive: reader.u8() === flags.recursive, path: path() }
    case 'symlink':
      return { kind, target: path(), path: path() }
    case 'clock':
      return { kind, unixNanoseconds: reader.u64() }
    case 'identity':
      return { kind, hostname: text(), machineId: text(), entropy: path() }
    case 'poweroff':
      return { kind, graceMs: reader.u32() }
    case 'input':
      return { kind, bytes: reader.rest() }
    case 'outputCredit':
      return { kind, stream: reader.u8(), bytes: reader.u32() }
    case 'resize':
      return { kind, rows: reader.u16(), cols: reader.u16() }
    case 'signal':
      return { kind, number: reader.u8() }
    case 'trim':
      return { kind, serial: reader.left === 0 ? undefined : text() }
    case 'mount':
      return { kind, readOnly: reader.u8() === flags.readOnly, serial: text(), path: path() }
    case 'grow':
      return { kind, serial: text(), bytes: reader.size() }
    case 'freeze':
      return { kind, longestMs: reader.u32() }
    case 'sync':
    case 'thaw':
    case 'begin':
    case 'inputEnd':
    case 'cancel':
      return { kind }
  }
}

function readExec(reader: ByteReader): Request {
  const set = reader.u8()
  const size = { rows: reader.u16(), cols: reader.u16() }
  const text = () => reader.text(agentLimits.maxPayload)
  const user = text()
  const cwd = text()
  const argc = reader.u32()
  const envc = reader.u32()
  // Each string takes four bytes at least, so that a wild count cannot make this long.
  if (argc + envc > reader.left / 4) throw reader.wrong('it has fewer strings than it says')
  return {
    kind: 'exec',
    stdin: (set & flags.stdin) !== 0,
    tty: (set & flags.tty) !== 0 ? size : undefined,
    user,
    cwd,
    argv: Array.from({ length: argc }, text),
    env: Array.from({ length: envc }, text),
  }
}

function readWrite(reader: ByteReader): Request {
  const set = reader.u8()
  const mode = reader.u32()
  const owner = { uid: reader.u32(), gid: reader.u32() }
  const mtimeNs = BigInt.asIntN(64, reader.u64())
  return {
    kind: 'write',
    mode,
    owner: (set & flags.owner) !== 0 ? owner : undefined,
    mtimeNs: (set & flags.mtime) !== 0 ? mtimeNs : undefined,
    path: reader.bytes(agentLimits.maxPayload),
  }
}
