import { Problem } from '../../base/index.ts'
import type { ShedRecord } from '../records/shed-record.ts'

/** A part of a record, which has it or not. */
export type SecretsInMemory = Pick<ShedRecord, 'secrets_in_memory'>

/** The names of all secrets that may be in the memory of a shed, once it runs: those that it is given, and those that it had. */
export function secretsInMemory({
  secrets,
  secrets_in_memory: had = [],
}: Pick<ShedRecord, 'secrets'> & SecretsInMemory): string[] {
  return [...new Set([...secrets.map(({ secret }) => secret), ...had])].sort()
}

/** What a record says of secrets that a shed had, or that are in the memory which it goes on from. */
export function withSecretsInMemory(names: readonly string[]): SecretsInMemory {
  return names.length === 0 ? {} : { secrets_in_memory: [...names] }
}

export interface CopyOfMemory {
  /** The shed or the snapshot whose memory it is. */
  readonly what: string
  /** Their names. */
  readonly secrets: readonly string[]
  readonly withSecrets: boolean | undefined
}

/** @throws Problem INVALID_REQUEST when there may be secrets in a memory that is to be copied, and nobody has said that they may be */
export function refuseSecrets({ what, secrets, withSecrets }: CopyOfMemory): void {
  if (secrets.length === 0 || withSecrets === true) return
  throw new Problem('INVALID_REQUEST', `there are secrets in the memory of ${what}: ${secrets.join(', ')}`, {
    hint: 'say that they may be in the copy: --with-secrets',
  })
}
