import type { z } from 'zod'
import { Problem, printable } from '../../base/index.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** Bytes of each kind of document that are read at most; registries take manifests of 4 MiB. */
export const documentLimits = { manifest: 8 * 2 ** 20, index: 8 * 2 ** 20, config: 16 * 2 ** 20 } as const

/**
 * The JSON object that bytes hold.
 *
 * @param noun what it is, for messages: "the manifest"
 * @throws Problem LIMIT_EXCEEDED above `maxBytes`; IMAGE_INVALID when it is not UTF-8, not JSON, or not an object
 */
export function parseJsonObject(bytes: Uint8Array, { noun, maxBytes }: { noun: string; maxBytes: number }): JsonObject {
  if (bytes.length > maxBytes) {
    throw new Problem('LIMIT_EXCEEDED', `${noun} has ${bytes.length} bytes; at most ${maxBytes} are accepted`)
  }
  const value = parseJson(bytes, noun)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Problem('IMAGE_INVALID', `${noun} is not a JSON object`)
  }
  return value as JsonObject
}

export function parseJson(bytes: Uint8Array, noun: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    throw new Problem('IMAGE_INVALID', `${noun} is not JSON in UTF-8`, { cause: error })
  }
}

/** Applies a schema; what does not fit becomes one IMAGE_INVALID that says where. */
export function parseWith<T extends z.ZodType>(schema: T, value: unknown, noun: string): z.infer<T> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const where = issue === undefined || issue.path.length === 0 ? '' : ` at ${issue.path.join('.')}`
  throw new Problem('IMAGE_INVALID', printable(`${noun} is not valid${where}: ${issue?.message ?? 'unknown reason'}`))
}
