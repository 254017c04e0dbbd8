import { mkdir, rm } from 'node:fs/promises'
import { z } from 'zod'
import { type DataLayout, isProblem, type Problem, problemFromSystem } from '../../base/index.ts'
import { namesIn, syncDirectory } from '../../host/index.ts'
import { readRecord, writeRecord } from '../../state/index.ts'

export type TokenLayout = Pick<DataLayout, 'tokens' | 'token'>

/** What is kept of a token. */
export const TokenRecord = z.object({
  id: z.string(),
  name: z.string(),
  read_only: z.boolean(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'not a SHA-256'),
  created_at: z.iso.datetime(),
  last_used_at: z.iso.datetime().optional(),
})
export type TokenRecord = z.infer<typeof TokenRecord>

/**
 * Every token of a data directory that is held. One that cannot be read lets nobody in, and what a crash left half written goes.
 *
 * @throws Problem PERMISSION_DENIED, IO_FAILED
 */
export async function readTokens(layout: TokenLayout, onBroken: (problem: Problem) => void): Promise<TokenRecord[]> {
  const records: TokenRecord[] = []
  for (const name of await namesIn(layout.tokens)) {
    const path = `${layout.tokens}/${name}`
    if (name.endsWith('.tmp')) await rm(path, { force: true })
    if (!name.endsWith('.json')) continue
    try {
      const record = await readRecord(path, TokenRecord)
      if (record !== undefined && layout.token(record.id) === path) records.push(record)
    } catch (error) {
      if (!isProblem(error)) throw error
      onBroken(error)
    }
  }
  return records
}

export async function writeToken({ tokens, token }: TokenLayout, record: TokenRecord): Promise<void> {
  try {
    await mkdir(tokens, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw problemFromSystem(error, `make ${tokens}`)
  }
  await writeRecord(token(record.id), record)
}

/** Once this has resolved it does not come back, after a crash either. */
export async function removeToken(layout: TokenLayout, id: string): Promise<void> {
  try {
    await rm(layout.token(id), { force: true })
  } catch (error) {
    throw problemFromSystem(error, `remove ${layout.token(id)}`)
  }
  await syncDirectory(layout.tokens)
}
