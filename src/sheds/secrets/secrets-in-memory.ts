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
