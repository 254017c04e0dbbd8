import { mkdir, rm } from 'node:fs/promises'
import { z } from 'zod'
import { type DataLayout, errnoCode, isName, Problem, parseName, problemFromSystem } from '../../base/index.ts'
import { namesIn, syncDirectory } from '../../host/index.ts'
import { readRecord, writeRecord } from '../record.ts'
import { Sealed, seal, unseal } from './seal.ts'
import { ensureSecretKey, readSecretKey } from './secret-key.ts'

const SecretRecord = z.object({
  version: z.literal(1),
  name: z.string(),
  created_at: z.iso.datetime(),
  changed_at: z.iso.datetime(),
  value: Sealed,
})

/** What is shown of a secret: all but what it is. */
export interface SecretSummary {
  readonly name: string
  readonly createdAt: string
  readonly changedAt: string
}

/** Values that sheds are given and nobody is shown. On disk they are sealed; in no message is there anything of one. */
export interface Secrets {
  /** Gives a name a value, another one if it had one. @throws Problem INVALID_REQUEST for what is no name or too long, NO_SPACE, RECORD_INVALID, PERMISSION_DENIED */
  set(name: string, value: Buffer): Promise<'created' | 'changed'>
  /** By name. */
  list(): Promise<SecretSummary[]>
  /** @throws Problem SECRET_NOT_FOUND, RECORD_INVALID, PERMISSION_DENIED */
  value(name: string): Promise<Buffer>
  /** @throws Problem SECRET_NOT_FOUND */
  remove(name: string): Promise<void>
}

/** What a program can be given as one word of its environment, and more than any key has. */
export const longestSecret = 32 * 1024

type SecretLayout = Pick<DataLayout, 'secrets' | 'secretKey' | 'secret'>

/** The secrets of a data directory. One of these for all of its rooms: changes are made one after another. */
export function openSecrets(layout: SecretLayout): Secrets {
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work)
    last = done.catch(() => undefined)
    return done
  }
  return {
    set: (name, value) => inTurn(() => set(layout, parseName(name, 'name for a secret'), value)),
    list: async () =>
      (await Promise.all((await names(layout)).map((name) => summary(layout, name)))).flatMap((one) => one ?? []),
    async value(name) {
      const record = isName(name) ? await readRecord(layout.secret(name), SecretRecord) : undefined
      if (record === undefined) throw secretNotFound(name)
      const key = await readSecretKey(layout.secretKey)
      if (key === undefined) throw keyIsGone(layout.secretKey)
      return unseal(record.value, { key, name })
    },
    remove: (name) => inTurn(() => remove(layout, name)),
  }
}

async function set(layout: SecretLayout, name: string, value: Buffer): Promise<'created' | 'changed'> {
  if (value.length > longestSecret) throw tooLong(name, value.length)
  await mkdir(layout.secrets, { recursive: true, mode: 0o700 })
  // One that cannot be read is replaced as well: its value is not worth less for that.
  const before = await readRecord(layout.secret(name), SecretRecord).catch(() => undefined)
  const key = await ensureSecretKey(layout.secretKey)
  const changed_at = new Date().toISOString()
  const created_at = before?.created_at ?? changed_at
  const sealed = seal(value, { key, name })
  await writeRecord(layout.secret(name), { version: 1, name, created_at, changed_at, value: sealed })
  return before === undefined ? 'created' : 'changed'
}

async function names({ secrets }: SecretLayout): Promise<string[]> {
  const files = (await namesIn(secrets)).filter((file) => file.endsWith('.json'))
  return files
    .map((file) => file.slice(0, -'.json'.length))
    .filter(isName)
    .sort()
}

/** One that cannot be read is there all the same: whoever uses it is told what is wrong with it. */
async function summary(layout: SecretLayout, name: string): Promise<SecretSummary | undefined> {
  const unknown = new Date(0).toISOString()
  try {
    const record = await readRecord(layout.secret(name), SecretRecord)
    return record && { name, createdAt: record.created_at, changedAt: record.changed_at }
  } catch {
    return { name, createdAt: unknown, changedAt: unknown }
  }
}

async function remove(layout: SecretLayout, name: string): Promise<void> {
  try {
    if (!isName(name)) throw secretNotFound(name)
    await rm(layout.secret(name))
    await syncDirectory(layout.secrets)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') throw secretNotFound(name)
    throw problemFromSystem(error, `remove the secret ${name}`)
  }
}

function secretNotFound(name: string): Problem {
  return new Problem('SECRET_NOT_FOUND', `there is no secret ${name}`, {
    hint: `set it, from a file or from stdin: cowshed secret set ${name} < FILE`,
  })
}

function keyIsGone(path: string): Problem {
  return new Problem('RECORD_INVALID', `the key that the secrets were sealed with is gone: ${path}`, {
    hint: 'put it back from where you keep it; without it the secrets have to be set again: cowshed secret set NAME',
  })
}

function tooLong(name: string, bytes: number): Problem {
  return new Problem('INVALID_REQUEST', `the secret ${name} would have ${bytes} bytes; it may have ${longestSecret}`)
}
