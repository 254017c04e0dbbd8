/** A thing at a target. */
export interface TargetObject {
  readonly name: string
  readonly bytes: number
  /** By the clock of the target, as everything there is: milliseconds since 1970. */
  readonly changedMs: number
}

export interface TargetOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ByteRange {
  readonly offset: number
  readonly length: number
}

/**
 * Where backups are kept: objects by name, whole or not there. What is written is there for whoever asks from then on, and after a crash. It is not
 * trusted with anything: neither to keep a secret nor to give back what it was given.
 *
 * Names are of a-z, 0-9, `.`, `-` and `/`. Every call throws Problem BACKUP_TARGET_UNREACHABLE, BACKUP_TARGET_FAILED or CANCELLED, a local one NO_SPACE and
 * PERMISSION_DENIED too. `test/conformance/backup-target.ts` is what each of them must pass.
 */
export interface BackupTarget {
  /** For people: no credentials are in it. */
  readonly url: string
  /** All of an object, or what it has of a range. @returns undefined when there is no such object */
  get(name: string, options?: TargetOptions & { readonly range?: ByteRange }): Promise<Buffer | undefined>
  /** Takes the place of what was there. */
  put(name: string, bytes: Buffer, options?: TargetOptions): Promise<void>
  /**
   * Only where nothing is. A store that has no conditional writes may put it in the place of what came there in that moment.
   *
   * @returns whether it was put there
   */
  putNew(name: string, bytes: Buffer, options?: TargetOptions): Promise<boolean>
  /** All whose names begin so, in no order. */
  list(prefix: string, options?: TargetOptions): AsyncIterable<TargetObject>
  /** It is well if it is not there. */
  remove(name: string, options?: TargetOptions): Promise<void>
  /** Removes what writers that were killed have left half written. */
  tidy(): Promise<void>
  close(): Promise<void>
}
