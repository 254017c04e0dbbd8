import { writeFile } from 'node:fs/promises'
import type { z } from 'zod'
import { errnoCode, Problem, problemFromSystem } from '../base/index.ts'
import { readSmallFile, writeFileAtomically } from '../host/index.ts'

/** No record is near this; a larger file is not one of ours. */
const maxBytes = 1 << 20

/**
 * Reads a record, the JSON file that is the truth about an object.
 *
 * @returns undefined when there is no such file
 * @throws Problem RECORD_INVALID naming the file when it cannot be read, is not JSON or not of the schema
 */
export async function readRecord<T extends z.ZodType>(path: string, schema: T): Promise<z.infer<T> | undefined> {
  let bytes: Buffer
  try {
    bytes = await readSmallFile(path, { maxBytes })
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') return undefined
    throw broken(path, problemFromSystem(error, 'read it').message, error)
  }
  if (bytes.length > maxBytes) throw broken(path, `it has more than ${maxBytes} bytes`)
  const parsed = schema.safeParse(parseJson(path, bytes.toString('utf8')))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw broken(path, `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'not of the schema'}`)
}

/** Writes a record atomically and durably: after a crash there is the old one or the new one. @throws Problem NO_SPACE, IO_FAILED */
export async function writeRecord(path: string, record: unknown): Promise<void> {
  await writeFileAtomically(path, encodeRecord(record), { mode: 0o600 })
}

/** Writes the record of what is being made in staging, which is durable when that is installed. @throws Problem NO_SPACE, IO_FAILED */
export async function stageRecord(path: string, record: unknown, { mode = 0o600 } = {}): Promise<void> {
  try {
    await writeFile(path, encodeRecord(record), { mode })
  } catch (error) {
    throw problemFromSystem(error, `write ${path}`)
  }
}

/** A record as it is written: JSON that a person can read. */
export function encodeRecord(record: unknown): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw broken(path, text.trim() === '' ? 'it is empty' : 'it is not JSON', error)
  }
}

function broken(path: string, why: string, cause?: unknown): Problem {
  return new Problem('RECORD_INVALID', `the record ${path} cannot be read: ${why}`, {
    hint: 'repair the file, or move its directory out of the data directory, and try again',
    cause,
    data: { path },
  })
}
