import { Problem } from '../../base/index.ts'

/** How bytes of one kind begin: its magic, then the version as a u32. */
export interface RecordHeader {
  readonly magic: Buffer
  /** The only one that is known. */
  readonly version: number
  /** For messages: `chunk index`. */
  readonly noun: string
  /** What can be done about another version. */
  readonly hint: string
  /** The Problem for what does not begin so. */
  readonly invalid: (why: string) => Problem
}

/** What comes after a header. @throws what `invalid` makes; Problem IMAGE_UNSUPPORTED for a version that is not known */
export function afterHeader(bytes: Buffer, { magic, version, noun, hint, invalid }: RecordHeader): Buffer {
  const end = magic.length + 4
  if (bytes.length < end || !bytes.subarray(0, magic.length).equals(magic)) throw invalid('it does not start as one')
  const found = bytes.readUInt32LE(magic.length)
  if (found === version) return bytes.subarray(end)
  const message = `the ${noun} is of version ${found}; ${version} is the only one known`
  throw new Problem('IMAGE_UNSUPPORTED', message, { hint })
}
