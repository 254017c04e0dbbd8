import { randomBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import { readSmallFile, writeFileAtomically } from '../../host/index.ts'
import { keyBytes } from './seal.ts'

/**
 * The key that secrets are sealed with.
 *
 * @returns undefined when there is none yet
 * @throws Problem RECORD_INVALID when it is not one, PERMISSION_DENIED when others may read it, or we may not
 */
export async function readSecretKey(path: string): Promise<Buffer | undefined> {
  const key = await read(path)
  if (key === undefined) return undefined
  if (key.length !== keyBytes) throw unusable(path, `it has ${key.length} bytes, not ${keyBytes}`)
  return key
}

/** The key, made when there is none. @throws Problem as readSecretKey does; NO_SPACE */
export async function ensureSecretKey(path: string): Promise<Buffer> {
  const known = await readSecretKey(path)
  if (known !== undefined) return known
  await writeFileAtomically(path, randomBytes(keyBytes), { mode: 0o600 })
  return (await readSecretKey(path)) ?? Promise.reject(unusable(path, 'it is gone'))
}

async function read(path: string): Promise<Buffer | undefined> {
  try {
    if (((await stat(path)).mode & 0o077) !== 0) throw readByOthers(path)
    return await readSmallFile(path, { maxBytes: keyBytes })
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw problemFromSystem(error, `read ${path}`)
  }
}

function readByOthers(path: string): Problem {
  return new Problem('PERMISSION_DENIED', `the key of the secrets may be read by others: ${path}`, {
    hint: `take that away, and think of the secrets as known: chmod 600 ${path}`,
  })
}

function unusable(path: string, why: string): Problem {
  return new Problem('RECORD_INVALID', `the key of the secrets cannot be used: ${why} (${path})`, {
    hint: 'put it back from where you keep it; without it the secrets have to be set again',
  })
}
