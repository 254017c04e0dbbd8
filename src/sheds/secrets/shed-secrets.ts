import type { Secret } from '../../contract/index.ts'

/** The secrets of one data directory, and who is given them. */
export interface ShedSecrets {
  /** @throws Problem INVALID_REQUEST for what is no name or too long, NO_SPACE, RECORD_INVALID, PERMISSION_DENIED */
  set(name: string, value: AsyncIterable<Buffer>): Promise<'created' | 'changed'>
  list(): Promise<Secret[]>
  /** @throws Problem SECRET_NOT_FOUND; without force SECRET_IN_USE naming who is given it, RECORD_INVALID for a shed that cannot be read */
  remove(name: string, options: { readonly force: boolean }): Promise<void>
}
