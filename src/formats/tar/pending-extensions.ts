import { complaintAbout, isReadFromGlobals, type MemberExtensions } from './member-extensions.ts'
import { type PaxRecord, parsePaxRecords } from './pax-records.ts'
import { limitExceeded } from './tar-invalid.ts'
import type { TarLimits } from './tar-limits.ts'

const maxGlobalRecords = 256
const none: Omit<MemberExtensions, 'globals'> = { longName: undefined, longLink: undefined, pax: [] }
const noExtensions: MemberExtensions = { ...none, globals: new Map() }

/** Typeflags of members that describe the next one; X is what Solaris wrote before there was a standard for x. */
export function isExtension(typeflag: string): boolean {
  return 'xXgLK'.includes(typeflag)
}

/** Collects what extension headers say, until the member comes that they are about. */
export class PendingExtensions {
  readonly #limits: TarLimits
  readonly #warn: (message: string) => void
  #globals: ReadonlyMap<string, PaxRecord> = new Map()
  #own: typeof none = none
  readonly #complained = new Set<string>()

  constructor(limits: TarLimits, warn: (message: string) => void) {
    this.#limits = limits
    this.#warn = warn
  }

  /** Whether there is an extension header whose member has not come. */
  get isWaiting(): boolean {
    return this.#own !== none
  }

  /** What belongs to the member that is here now; the next one starts anew, but for the global records. */
  claim(): MemberExtensions {
    // Most members have none, and an archive may have a million.
    if (this.#own === none && this.#globals.size === 0) return noExtensions
    const claimed = { ...this.#own, globals: this.#globals }
    this.#own = none
    return claimed
  }

  /** @throws Problem TAR_INVALID, LIMIT_EXCEEDED */
  add(typeflag: string, body: Buffer): void {
    if (typeflag === 'L') this.#own = { ...this.#own, longName: untilNul(body) }
    else if (typeflag === 'K') this.#own = { ...this.#own, longLink: untilNul(body) }
    else if (typeflag === 'g') this.#addGlobals(parsePaxRecords(body))
    else this.#addOwn(parsePaxRecords(body))
  }

  #addOwn(records: readonly PaxRecord[]): void {
    if (this.#own.pax.length > 0) this.#warn('of two PAX headers before one member, only the second counts')
    for (const record of records) this.#complain(record)
    this.#own = { ...this.#own, pax: records }
  }

  #addGlobals(records: readonly PaxRecord[]): void {
    const globals = new Map(this.#globals)
    for (const record of records) {
      this.#complain(record)
      if (record.key.startsWith('GNU.sparse.'))
        this.#warn(`the PAX record ${record.key} says nothing in a global header`)
      else if (isReadFromGlobals(record.key)) globals.set(record.key, record)
    }
    this.#checkGlobals(globals)
    this.#globals = globals
  }

  #checkGlobals(globals: ReadonlyMap<string, PaxRecord>): void {
    let bytes = 0
    for (const { key, value } of globals.values()) bytes += key.length + value.length
    if (bytes > this.#limits.maxExtensionBytes) {
      throw limitExceeded(`the global PAX headers have more than ${this.#limits.maxExtensionBytes} bytes`)
    }
    // Every member looks at all of them, so many of them would make a small archive slow.
    if (globals.size > maxGlobalRecords) throw limitExceeded(`more than ${maxGlobalRecords} global PAX records`)
  }

  /** Once for each key: a program that writes a key writes it into every member. */
  #complain(record: PaxRecord): void {
    const complaint = complaintAbout(record)
    if (complaint === undefined || this.#complained.has(record.key) || this.#complained.size >= 100) return
    this.#complained.add(record.key)
    this.#warn(complaint)
  }
}

function untilNul(body: Buffer): Buffer {
  const nul = body.indexOf(0)
  return nul === -1 ? body : body.subarray(0, nul)
}
