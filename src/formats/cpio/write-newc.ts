import { Problem, printableBytes } from '../../base/index.ts'
import { typeBits, typeMask } from '../type-bits.ts'

export interface CpioEntry {
  /** Relative to the root, without `./` and slashes at the end. Text is UTF-8. */
  readonly path: string | Buffer
  /** With the type bits: 0o100644 is a file. */
  readonly mode: number
  readonly uid?: number
  readonly gid?: number
  /** The device that a device node stands for. */
  readonly major?: number
  readonly minor?: number
  /** The content of a file, the target of a symlink. */
  readonly data?: Buffer
}

/**
 * A cpio archive in the newc form, as the kernel wants it for an initrd: entries in the order given, inode numbers counted from 1, all times
 * 0, whole 512-byte blocks. The same entries give the same bytes.
 *
 * The kernel makes no parents and says nothing when one is missing, so a directory must come before what is in it.
 *
 * @throws Problem CPIO_INVALID
 * @see Linux Documentation/driver-api/early-userspace/buffer-format.rst; cpio(5)
 */
export function writeNewc(entries: readonly CpioEntry[]): Buffer {
  const directories = new Set<string>([''])
  const seen = new Set<string>()
  const members = entries.map((entry, index) => {
    const path = checkedPath(entry, { directories, seen })
    return member({ ...entry, path, ino: index + 1 })
  })
  return padded(Buffer.concat([...members, trailer()]), 512)
}

const knownTypes = new Set<number>(Object.values(typeBits))
const trailerName = 'TRAILER!!!'

function member(entry: CpioEntry & { readonly path: Buffer; readonly ino: number }): Buffer {
  const { path, data = Buffer.alloc(0) } = entry
  const fields = [
    entry.ino,
    entry.mode,
    entry.uid ?? 0,
    entry.gid ?? 0,
    typeOf(entry) === typeBits.directory ? 2 : 1, // links
    0, // mtime
    data.length,
    0, // major and minor of the device that the entry was on
    0,
    entry.major ?? 0,
    entry.minor ?? 0,
    path.length + 1,
    0, // the checksum, which this form leaves out
  ]
  const header = Buffer.from(`070701${fields.map((field) => hex(field, path)).join('')}`, 'latin1')
  return Buffer.concat([padded(Buffer.concat([header, path, Buffer.alloc(1)]), 4), padded(data, 4)])
}

function trailer(): Buffer {
  return member({ path: Buffer.from(trailerName), mode: 0, ino: 0 })
}

function hex(value: number, path: Buffer): string {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw invalid(path, `${value} does not fit 32 bits`)
  return value.toString(16).toUpperCase().padStart(8, '0')
}

function padded(bytes: Buffer, to: number): Buffer {
  const padding = (to - (bytes.length % to)) % to
  return padding === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(padding)])
}

function typeOf({ mode }: CpioEntry): number {
  return mode & typeMask
}

interface Earlier {
  /** Paths that may be parents, as byte strings. */
  readonly directories: Set<string>
  readonly seen: Set<string>
}

function checkedPath(entry: CpioEntry, { directories, seen }: Earlier): Buffer {
  const path = typeof entry.path === 'string' ? Buffer.from(entry.path) : entry.path
  const name = path.toString('latin1')
  const complaint = complaintAbout(entry, name)
  if (complaint !== undefined) throw invalid(path, complaint)
  if (seen.has(name)) throw invalid(path, 'it is there twice')
  if (!directories.has(name.slice(0, Math.max(0, name.lastIndexOf('/')))))
    throw invalid(path, 'its directory does not come before it')
  seen.add(name)
  if (typeOf(entry) === typeBits.directory) directories.add(name)
  return path
}

function complaintAbout(entry: CpioEntry, name: string): string | undefined {
  const type = typeOf(entry)
  const { length } = entry.data ?? []
  if (name === trailerName) return 'that name ends the archive'
  if (name.includes('\0')) return 'its name holds a NUL'
  // Linux takes names of less than PATH_MAX, the NUL included, and drops the others.
  if (name.length > 4095) return 'its name has more than 4095 bytes'
  if (name.split('/').some((part) => part === '' || part === '.' || part === '..'))
    return 'its name is not plain and relative'
  if (!knownTypes.has(type)) return `${entry.mode.toString(8)} has no type of file that is known`
  if (length > 0 && type !== typeBits.file && type !== typeBits.symlink) return 'only files and symlinks have data'
  if (type === typeBits.symlink && (length === 0 || length > 4095)) return 'the target of a symlink has 1 to 4095 bytes'
  return undefined
}

function invalid(path: Buffer, message: string): Problem {
  return new Problem('CPIO_INVALID', `${printableBytes(path)} cannot be written to a cpio archive: ${message}`)
}
