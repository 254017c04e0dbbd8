import { z } from 'zod'
import { Problem } from '../../base/index.ts'

/** The members of the archive that are no parts, in the order of this list; parts are between the first two. */
export const members = { header: 'snapshot.json', digests: 'digests.json', image: 'image.tar' } as const

/** What is read of a document at most. */
export const maxDocumentBytes = 1 << 20

/** Parts at most. */
const maxParts = 256

const PartName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:\/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$/)

const Header = z.strictObject({
  format: z.literal('cowshed-snapshot'),
  version: z.literal(1),
  /** What is said of the snapshot: not this format's business. */
  record: z.unknown(),
  /** The files of the snapshot, in the order in which they come. */
  parts: z
    .array(z.strictObject({ name: PartName, bytes: z.int().min(0) }))
    .max(maxParts)
    .refine((parts) => new Set(parts.map(({ name }) => name)).size === parts.length, 'two have one name'),
  /** Whether the image comes last, as an OCI archive. */
  image: z.boolean(),
})
export type SnapshotFileHeader = z.infer<typeof Header>

/** By the names of the header and of all parts: SHA-256 of their bytes. The image proves itself. */
const Digests = z.strictObject({ digests: z.record(z.string(), z.string().regex(/^sha256:[0-9a-f]{64}$/)) })

export function encodeHeader(header: Omit<SnapshotFileHeader, 'format' | 'version'>): Buffer {
  return encode({ format: 'cowshed-snapshot', version: 1, ...header } satisfies SnapshotFileHeader)
}

/** @throws Problem SNAPSHOT_FILE_INVALID */
export function parseHeader(bytes: Buffer): SnapshotFileHeader {
  const value = parseJson(bytes, members.header)
  const { format, version } = Object(value) as { format?: unknown; version?: unknown }
  if (format === 'cowshed-snapshot' && typeof version === 'number' && version > 1) {
    throw new Problem('SNAPSHOT_FILE_INVALID', `the file is of version ${version}, and this cowshed knows 1`, {
      hint: 'import it with a newer cowshed',
    })
  }
  return parsed(Header, value, members.header)
}

export function encodeDigests(digests: Readonly<Record<string, string>>): Buffer {
  return encode({ digests } satisfies z.infer<typeof Digests>)
}

/** @throws Problem SNAPSHOT_FILE_INVALID */
export function parseDigests(bytes: Buffer): Readonly<Record<string, string>> {
  return parsed(Digests, parseJson(bytes, members.digests), members.digests).digests
}

export function snapshotFileInvalid(why: string, cause?: unknown): Problem {
  return new Problem('SNAPSHOT_FILE_INVALID', `this is no snapshot that can be imported: ${why}`, {
    hint: 'export it again: cowshed snapshot export NAME FILE',
    cause,
  })
}

function encode(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`)
}

function parseJson(bytes: Buffer, name: string): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch (error) {
    throw snapshotFileInvalid(`its ${name} is not JSON`, error)
  }
}

function parsed<T extends z.ZodType>(schema: T, value: unknown, name: string): z.infer<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw snapshotFileInvalid(`its ${name} is not what cowshed writes (${issue?.path.join('.')}: ${issue?.message})`)
}
