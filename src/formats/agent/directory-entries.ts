import { Problem } from '../../base/index.ts'
import { ByteReader, ByteWriter } from './bytes.ts'
import { decodeStat, encodeStat, type GuestStat } from './guest-stat.ts'

/** A directory entry of a guest, with what lstat says of it. */
export interface GuestEntry {
  /** One name without a slash; Linux does not promise UTF-8. */
  readonly name: Buffer
  readonly stat: GuestStat
}

const nameMax = 255
const statBytes = 28
const maxEntries = 200_000

/** Takes the stream of a LIST apart into entries, however it is chunked. */
export class DirectoryEntries {
  readonly entries: GuestEntry[] = []
  #pending: Buffer = Buffer.alloc(0)

  /** @throws Problem AGENT_PROTOCOL for a name that is none, LIMIT_EXCEEDED for a directory that is too large */
  push(chunk: Buffer): void {
    let bytes = Buffer.concat([this.#pending, chunk])
    for (let size = entrySize(bytes); size !== undefined && size <= bytes.length; size = entrySize(bytes)) {
      this.entries.push(decodeEntry(bytes.subarray(0, size)))
      bytes = bytes.subarray(size)
    }
    this.#pending = bytes
    if (this.entries.length > maxEntries) {
      throw new Problem('LIMIT_EXCEEDED', `a directory of the guest has more than ${maxEntries} entries`)
    }
  }

  end(): void {
    if (this.#pending.length > 0)
      throw new Problem('AGENT_PROTOCOL', 'the list of a directory ends in the middle of an entry')
  }
}

function entrySize(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined
  const nameLength = bytes.readUInt32LE()
  if (nameLength === 0 || nameLength > nameMax) {
    throw new Problem('AGENT_PROTOCOL', `a directory entry of the guest has a name of ${nameLength} bytes`)
  }
  return 4 + nameLength + statBytes
}

/** A name becomes part of a path on the host when files are copied out: it must not lead anywhere else. */
function decodeEntry(bytes: Buffer): GuestEntry {
  const reader = new ByteReader(bytes, 'directory entry')
  const name = Buffer.from(reader.bytes(nameMax))
  if (name.includes(0x2f) || name.includes(0) || name.equals(Buffer.from('.')) || name.equals(Buffer.from('..'))) {
    throw reader.wrong('its name is not one')
  }
  return { name, stat: decodeStat(reader) }
}

export function encodeDirectoryEntry({ name, stat }: GuestEntry): Buffer {
  return new ByteWriter().bytes(name).raw(encodeStat(stat)).finish()
}
