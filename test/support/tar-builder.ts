import type { TarEntry } from '../../src/formats/index.ts'

/**
 * Makes any tar archive from small descriptions, broken ones too. It shares no code with the reader and the writer of src/formats/tar, so that
 * a mistake there is not made twice.
 *
 *     buildTar([{ path: 'etc', type: 'directory' }, { path: 'etc/passwd', content: 'root…', uid: 3_000_000_000 }])
 */
export function buildTar(pieces: readonly TarPiece[], ending: TarEnding = {}): Buffer {
  return Buffer.concat([
    ...pieces.map(buildPiece),
    Buffer.alloc((ending.endBlocks ?? 2) * 512),
    bytesOf(ending.trailing ?? ''),
  ])
}

/** Text is written as UTF-8; a Buffer as it is. */
export type Bytes = string | Buffer
export type PaxRecords = readonly (readonly [key: Bytes, value: Bytes])[]
export type TarPiece =
  | TarMember
  | { /** Bytes put into the archive as they are. */ readonly raw: Buffer }
  | { /** A global header. */ readonly paxGlobal: PaxRecords }

export interface TarEnding {
  /** Zero blocks at the end: 2 unless told. */
  readonly endBlocks?: number
  /** What comes after them. */
  readonly trailing?: Bytes
}

export interface TarMember {
  /** Directories get their trailing slash by themselves. */
  readonly path: Bytes
  /** `file` unless told. */
  readonly type?: TarEntry['type']
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Seconds; a fraction is kept to the nanosecond. Exact: `{ seconds, nanoseconds }`. */
  readonly mtime?: number | { readonly seconds: number; readonly nanoseconds: number }
  readonly content?: Bytes
  readonly linkTarget?: Bytes
  readonly major?: number
  readonly minor?: number
  readonly xattrs?: Readonly<Record<string, Bytes>>
  /** Makes a sparse file; `content` is then not used. */
  readonly sparse?: SparseContent

  /** How it is written: `pax` unless told; `pax` and `gnu` fall back to their extensions for what does not fit a field. */
  readonly format?: 'v7' | 'ustar' | 'gnu' | 'pax'
  /** Write every number as base-256. */
  readonly base256?: boolean
  /** Further PAX records, after those that the member needs; they may contradict them. */
  readonly pax?: PaxRecords
  /** The whole body of the PAX header, for records that are not well formed. */
  readonly paxBody?: Bytes
  /** One character, whatever the type says. */
  readonly typeflag?: string
  /** What the size field says, whatever the body is. */
  readonly declaredSize?: number
  /** Cuts the archive's copy of the body and leaves its padding out. */
  readonly truncateBodyTo?: number
  /** Last changes to the 512 bytes before the checksum is made. */
  readonly patch?: (header: Buffer) => void
  readonly checksum?: 'unsigned' | 'signed' | 'wrong'
}

export interface SparseContent {
  readonly form: 'gnu' | '0.0' | '0.1' | '1.0'
  readonly realSize: number
  readonly segments: readonly { readonly offset: number; readonly bytes: Bytes }[]
  /** What the map says, when it is not to say the truth. */
  readonly map?: readonly { readonly offset: number; readonly length: number }[]
}

/** The content that a reader must give for a sparse member. */
export function expandSparse({ realSize, segments }: SparseContent): Buffer {
  const content = Buffer.alloc(realSize)
  for (const { offset, bytes } of segments) bytesOf(bytes).copy(content, offset)
  return content
}

/** One record: its own length in decimal, a space, key=value, a newline. */
export function paxRecord(key: Bytes, value: Bytes): Buffer {
  const rest = Buffer.concat([Buffer.from(' '), bytesOf(key), Buffer.from('='), bytesOf(value), Buffer.from('\n')])
  let length = rest.length + 1
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return Buffer.concat([Buffer.from(String(length)), rest])
}

function buildPiece(piece: TarPiece): Buffer {
  if ('raw' in piece) return piece.raw
  if ('paxGlobal' in piece) return extension('g', 'pax_global_header', joinRecords(piece.paxGlobal))
  return buildMember(piece)
}

function buildMember(member: TarMember): Buffer {
  const format = member.format ?? 'pax'
  const path = withSlash(member)
  const linkTarget = bytesOf(member.linkTarget ?? '')
  const stored = storedBody(member)
  const blocks: Buffer[] = []
  if (format === 'gnu' && linkTarget.length > 100) blocks.push(extension('K', '././@LongLink', terminated(linkTarget)))
  if (format === 'gnu' && path.length > 100) blocks.push(extension('L', '././@LongLink', terminated(path)))
  const records = joinRecords([
    ...(format === 'pax' ? neededRecords(member, path) : []),
    ...stored.records,
    ...(member.pax ?? []),
  ])
  const paxBody = member.paxBody === undefined ? records : bytesOf(member.paxBody)
  if (paxBody.length > 0) blocks.push(extension('x', 'PaxHeaders/x', paxBody))
  blocks.push(memberHeader(member, { path, linkTarget, stored }), stored.extensions)
  if (member.truncateBodyTo === undefined) blocks.push(padded(stored.body))
  else blocks.push(stored.body.subarray(0, member.truncateBodyTo))
  return Buffer.concat(blocks)
}

const typeflags = { file: '0', hardlink: '1', symlink: '2', char: '3', block: '4', directory: '5', fifo: '6' } as const
const defaultModes = {
  file: 0o644,
  hardlink: 0o644,
  symlink: 0o777,
  char: 0o600,
  block: 0o600,
  directory: 0o755,
  fifo: 0o644,
}
/** Bytes 257–264: magic and version. */
const magics = { v7: '', ustar: 'ustar\x0000', pax: 'ustar\x0000', gnu: 'ustar  \0' } as const

interface Names {
  readonly path: Buffer
  readonly linkTarget: Buffer
  readonly stored: StoredBody
}

function memberHeader(member: TarMember, { path, linkTarget, stored }: Names): Buffer {
  const { type = 'file', format = 'pax' } = member
  const header = Buffer.alloc(512)
  const put = (offset: number, length: number, value: number) => putNumber(header, { offset, length, value, member })
  putName(header, path, format)
  put(100, 8, member.mode ?? defaultModes[type])
  put(108, 8, member.uid ?? 0)
  put(116, 8, member.gid ?? 0)
  put(124, 12, member.declaredSize ?? stored.body.length)
  put(136, 12, timeOf(member).seconds)
  header.write(
    member.typeflag ?? (format === 'v7' ? v7Typeflag(type) : (stored.typeflag ?? typeflags[type])),
    156,
    'latin1',
  )
  linkTarget.copy(header, 157, 0, 100)
  header.write(magics[format], 257, 'latin1')
  if (format !== 'v7') {
    put(329, 8, member.major ?? 0)
    put(337, 8, member.minor ?? 0)
  }
  stored.finish?.(header)
  member.patch?.(header)
  putChecksum(header, member.checksum ?? 'unsigned')
  return header
}

/** v7 knows files (a NUL), hard links and symlinks; its directories are files whose name ends with a slash. */
function v7Typeflag(type: TarEntry['type']): string {
  return type === 'file' || type === 'directory' ? '\0' : typeflags[type]
}

function putName(header: Buffer, path: Buffer, format: string): void {
  if (path.length > 100 && format === 'ustar') {
    const slash = path.indexOf('/', path.length - 101)
    if (slash <= 0 || slash > 155) throw new Error(`no way to split ${path.toString()} for ustar`)
    path.copy(header, 345, 0, slash)
    path.copy(header, 0, slash + 1)
  } else path.copy(header, 0, 0, 100)
}

interface NumberField {
  readonly offset: number
  readonly length: number
  readonly value: number
  readonly member: TarMember
}

function putNumber(header: Buffer, { offset, length, value, member }: NumberField): void {
  const octal = value.toString(8).padStart(length - 1, '0')
  const fits = value >= 0 && octal.length < length
  if (member.base256 || (member.format === 'gnu' && !fits)) putBase256(header, { offset, length, value })
  else if (fits) header.write(octal, offset, 'latin1')
  else if ((member.format ?? 'pax') === 'pax') header.write('0'.repeat(length - 1), offset, 'latin1')
  else throw new Error(`${value} does not fit ${length - 1} octal digits`)
}

/** Two's complement, big-endian, with the highest bit set as the mark. */
function putBase256(header: Buffer, { offset, length, value }: Omit<NumberField, 'member'>): void {
  let rest = BigInt(value)
  for (let i = length - 1; i >= 0; i--, rest >>= 8n) header[offset + i] = Number(rest & 0xffn)
  header[offset] = (header[offset] ?? 0) | 0x80
}

function putChecksum(header: Buffer, kind: 'unsigned' | 'signed' | 'wrong'): void {
  header.write('        ', 148, 'latin1')
  let sum = kind === 'wrong' ? 1 : 0
  for (const byte of header) sum += kind === 'signed' && byte > 127 ? byte - 256 : byte
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

/** The records without which ustar would lose something of the member. */
function neededRecords(member: TarMember, path: Buffer): [Bytes, Bytes][] {
  const records: [Bytes, Bytes][] = []
  const linkTarget = bytesOf(member.linkTarget ?? '')
  if (path.length > 100) records.push(['path', path])
  if (linkTarget.length > 100) records.push(['linkpath', linkTarget])
  for (const key of ['uid', 'gid'] as const)
    if ((member[key] ?? 0) > 0o7777777) records.push([key, String(member[key])])
  const { seconds, nanoseconds } = timeOf(member)
  if (seconds < 0 || seconds > 0o77777777777 || nanoseconds > 0) records.push(['mtime', paxTime(seconds, nanoseconds)])
  for (const [name, value] of Object.entries(member.xattrs ?? {})) {
    // A key ends at the first =, so GNU tar writes one in a name as %3D.
    records.push([`SCHILY.xattr.${name.replaceAll('%', '%25').replaceAll('=', '%3D')}`, value])
  }
  return records
}

function timeOf({ mtime = 0 }: TarMember): { seconds: number; nanoseconds: number } {
  if (typeof mtime === 'object') return mtime
  const seconds = Math.floor(mtime)
  return { seconds, nanoseconds: Math.round((mtime - seconds) * 1e9) }
}

/** PAX has a sign and a magnitude: -2 s and 500,000,000 ns is -1.5. */
function paxTime(seconds: number, nanoseconds: number): string {
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds)
  const magnitude = total < 0n ? -total : total
  const fraction = String(magnitude % 1_000_000_000n).padStart(9, '0')
  return `${total < 0n ? '-' : ''}${magnitude / 1_000_000_000n}.${fraction}`
}

/** What follows the header, and what the header and the PAX records must say about it. */
interface StoredBody {
  readonly body: Buffer
  readonly records: readonly (readonly [Bytes, Bytes])[]
  /** Blocks of the old GNU sparse map that did not fit the header. */
  readonly extensions: Buffer
  readonly typeflag?: string
  readonly finish?: (header: Buffer) => void
}

function storedBody(member: TarMember): StoredBody {
  if (member.sparse !== undefined) return storedSparse(member, member.sparse)
  return { body: bytesOf(member.content ?? ''), records: [], extensions: Buffer.alloc(0) }
}

function storedSparse(member: TarMember, sparse: SparseContent): StoredBody {
  const segments = sparse.segments.map(({ offset, bytes }) => ({ offset, bytes: bytesOf(bytes) }))
  const body = Buffer.concat(segments.map(({ bytes }) => bytes))
  // GNU tar writes, and wants, a last entry of length 0 at the very end.
  const honestMap = [
    ...segments.map(({ offset, bytes }) => ({ offset, length: bytes.length })),
    { offset: sparse.realSize, length: 0 },
  ]
  const map = sparse.map ?? honestMap
  const size = String(sparse.realSize)
  const common = { body, extensions: Buffer.alloc(0) }
  switch (sparse.form) {
    case 'gnu':
      return { ...common, records: [], ...oldGnuSparse(sparse.realSize, map) }
    case '0.0': {
      const pairs = map.flatMap(({ offset, length }): [string, string][] => [
        ['GNU.sparse.offset', String(offset)],
        ['GNU.sparse.numbytes', String(length)],
      ])
      return { ...common, records: [['GNU.sparse.size', size], ['GNU.sparse.numblocks', String(map.length)], ...pairs] }
    }
    case '0.1': {
      const text = map.map(({ offset, length }) => `${offset},${length}`).join(',')
      const name: [string, Bytes] = ['GNU.sparse.name', member.path]
      const count: [string, string] = ['GNU.sparse.numblocks', String(map.length)]
      return { ...common, records: [['GNU.sparse.size', size], count, name, ['GNU.sparse.map', text]] }
    }
    case '1.0': {
      const text = `${map.length}\n${map.map(({ offset, length }) => `${offset}\n${length}\n`).join('')}`
      const version: [string, string][] = [
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
      ]
      const records: [string, Bytes][] = [...version, ['GNU.sparse.name', member.path], ['GNU.sparse.realsize', size]]
      return { ...common, body: Buffer.concat([padded(Buffer.from(text)), body]), records }
    }
  }
}

type SparseMap = readonly { readonly offset: number; readonly length: number }[]

/** Four entries of the map are in the header at 386, 21 in each further block; the byte after them says whether another block follows. */
function oldGnuSparse(realSize: number, map: SparseMap): Pick<StoredBody, 'extensions' | 'typeflag' | 'finish'> {
  const putMap = (block: Buffer, at: number, entries: SparseMap) => {
    entries.forEach(({ offset, length }, i) => {
      block.write(offset.toString(8).padStart(11, '0'), at + i * 24, 'latin1')
      block.write(length.toString(8).padStart(11, '0'), at + i * 24 + 12, 'latin1')
    })
  }
  const extensions: Buffer[] = []
  for (let i = 4; i < map.length; i += 21) {
    const block = Buffer.alloc(512)
    putMap(block, 0, map.slice(i, i + 21))
    block[504] = i + 21 < map.length ? 1 : 0
    extensions.push(block)
  }
  const finish = (header: Buffer) => {
    header.write('ustar  \0', 257, 'latin1')
    putMap(header, 386, map.slice(0, 4))
    header[482] = map.length > 4 ? 1 : 0
    header.write(realSize.toString(8).padStart(11, '0'), 483, 'latin1')
  }
  return { typeflag: 'S', extensions: Buffer.concat(extensions), finish }
}

/** A member that describes the next one: L, K, x or g. */
function extension(typeflag: string, path: string, body: Buffer): Buffer {
  const format = typeflag === 'L' || typeflag === 'K' ? 'gnu' : 'ustar'
  const stored = { body, records: [], extensions: Buffer.alloc(0) }
  const header = memberHeader(
    { path, typeflag, format },
    { path: Buffer.from(path), linkTarget: Buffer.alloc(0), stored },
  )
  return Buffer.concat([header, padded(body)])
}

function withSlash({ path, type }: TarMember): Buffer {
  const bytes = bytesOf(path)
  return type === 'directory' && bytes.at(-1) !== 0x2f ? Buffer.concat([bytes, Buffer.from('/')]) : bytes
}

const joinRecords = (records: PaxRecords): Buffer => Buffer.concat(records.map(([key, value]) => paxRecord(key, value)))
const terminated = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(1)])
const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)])
const bytesOf = (value: Bytes): Buffer => (typeof value === 'string' ? Buffer.from(value) : value)
