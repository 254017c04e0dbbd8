import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeStoredPart, encodeStoredPart, type StoredPart } from '../formats/index.ts'
import type { LowerRead } from './measure-reads.testkit.ts'

/** What programs have read when they started in a real image, as a kernel asked its block device for it, one read after the other. */
export interface ProgramStarts {
  /** How the lower was cut and stored. */
  readonly parts: readonly StoredPart[]
  /** By the name of the program: from the mount to its first output. */
  readonly reads: ReadonlyMap<string, readonly LowerRead[]>
}

/** Of offsets and lengths. */
const unit = 4096

/** What scripts/record-program-starts.ts has recorded. */
export function programStarts(): ProgramStarts {
  const text = readFileSync(join(import.meta.dirname, 'program-starts.json'), 'utf8')
  const { parts, reads } = JSON.parse(text) as Recording
  return {
    parts: parts.map((part) => decodeStoredPart(Buffer.from(part, 'base64'))),
    reads: new Map(Object.entries(reads).map(([name, list]) => [name, list.split(' ').map(parseRead)])),
  }
}

/** The text of a recording. */
export function encodeProgramStarts({ parts, reads }: ProgramStarts): string {
  const recording: Recording = {
    parts: parts.map((part) => encodeStoredPart(part).toString('base64')),
    reads: Object.fromEntries([...reads].map(([name, list]) => [name, list.map(formatRead).join(' ')])),
  }
  return `${JSON.stringify(recording, null, 2)}\n`
}

interface Recording {
  readonly parts: readonly string[]
  /** `offset+length`, in blocks of 4 KiB. */
  readonly reads: Readonly<Record<string, string>>
}

function formatRead({ offset, length }: LowerRead): string {
  return `${offset / unit}+${length / unit}`
}

function parseRead(text: string): LowerRead {
  const [offset = 0, length = 0] = text.split('+').map((blocks) => Number(blocks) * unit)
  return { offset, length }
}
