import { z } from 'zod'
import { type Digest, parseDigest } from '../../base/index.ts'
import { parseWith } from './json-document.ts'

/** JSON objects that Go programs write as null when they are empty. */
export const Annotations = z.record(z.string(), z.string())
export type Annotations = z.infer<typeof Annotations>

export const Platform = z.object({
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
})
export type Platform = z.infer<typeof Platform>

/** `type/subtype` of RFC 6838, parameters allowed. */
const MediaType = z
  .string()
  .max(255)
  .regex(/^[A-Za-z0-9][\w!#$&^.+-]*\/[A-Za-z0-9][\w!#$&^.+-]*(?:\s*;[\x20-\x7e]*)?$/)

/** A digest of the grammar and of an algorithm that can be verified: parseDigest's Problems pass through. */
export const DigestField = z.string().transform((text) => parseDigest(text))

/**
 * What points at a blob: its type, its digest and how many bytes it has.
 *
 * The `data` and `urls` fields are not taken over: bytes come from the store, and nothing is fetched on behalf of a document.
 * @see image-spec descriptor.md
 */
export const Descriptor = z.object({
  mediaType: MediaType,
  digest: DigestField,
  /** Bytes; never negative, never beyond what a double holds exactly. */
  size: z.int().min(0),
  annotations: nullish(Annotations),
  platform: nullish(Platform),
  artifactType: nullish(z.string()),
})
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly annotations?: Annotations | undefined
  readonly platform?: Platform | undefined
  readonly artifactType?: string | undefined
}

/** Checks a descriptor that is already a JSON value. @throws Problem IMAGE_INVALID, IMAGE_UNSUPPORTED */
export function parseDescriptor(value: unknown): Descriptor {
  return parseWith(Descriptor, value, 'a descriptor')
}

/** Absent, or null as Go writes an empty map or slice: both are undefined here. */
export function nullish<T extends z.ZodType>(schema: T) {
  return schema
    .nullable()
    .optional()
    .transform((value) => value ?? undefined)
}
