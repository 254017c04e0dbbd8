import {
  decodeExportChoice,
  decodeMetaQuery,
  encodeBlockSizes,
  encodeExportInfo,
  encodeMetaContext,
  encodeOldExport,
  encodeOptionReply,
  encodeServerName,
  nbdInfo,
  nbdLimits,
  nbdOptionReplies,
  nbdOptions,
  nbdTransmissionFlags,
} from '../../formats/index.ts'

/** What was agreed on. */
export interface Agreement {
  readonly structured: boolean
  /** Whether the client may ask which ranges are zeros. */
  readonly allocation: boolean
}

export interface Answer {
  readonly bytes: Buffer
  /** What comes after it: more options, requests, or nothing more. */
  readonly next: 'options' | 'requests' | 'end'
}

/** The number of the one context that there is. */
export const allocationContext = 1
const allocationName = 'base:allocation'
/** The one export: what every client asks for that was not told a name. */
const exportName = ''
const preferredBytes = 64 * 1024

/** Answers the options of one client: what may be asked of an export of so many bytes, which is read-only and alike on every connection. */
export class Handshake {
  readonly #bytes: number
  #noZeroes = false
  #structured = false
  #allocation = false

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  get agreement(): Agreement {
    return { structured: this.#structured, allocation: this.#structured && this.#allocation }
  }

  set noZeroes(value: boolean) {
    this.#noZeroes = value
  }

  answer(option: number, data: Buffer): Answer {
    switch (option) {
      case nbdOptions.exportName:
        return this.#oldExport(data)
      case nbdOptions.abort:
        return { bytes: encodeOptionReply(option, nbdOptionReplies.ack), next: 'end' }
      case nbdOptions.list:
        return more(data.length > 0 ? refusal(option, nbdOptionReplies.invalid) : this.#list(option))
      case nbdOptions.info:
      case nbdOptions.go:
        return this.#information(option, data)
      case nbdOptions.structuredReply:
        if (data.length > 0) return more(refusal(option, nbdOptionReplies.invalid))
        this.#structured = true
        return more(encodeOptionReply(option, nbdOptionReplies.ack))
      case nbdOptions.listMetaContext:
      case nbdOptions.setMetaContext:
        return more(this.#contexts(option, data))
      default:
        return more(refusal(option, nbdOptionReplies.unsupported))
    }
  }

  get #flags(): number {
    const { hasFlags, readOnly, sendDf, canMultiConn, sendCache } = nbdTransmissionFlags
    // Every reply is one chunk, so none is ever fragmented.
    return hasFlags | readOnly | canMultiConn | sendCache | (this.#structured ? sendDf : 0)
  }

  #oldExport(data: Buffer): Answer {
    // This option cannot be refused: all there is to do is to hang up.
    if (data.toString() !== exportName) return { bytes: Buffer.alloc(0), next: 'end' }
    return { bytes: encodeOldExport(this.#bytes, this.#flags, this.#noZeroes), next: 'requests' }
  }

  #list(option: number): Buffer {
    return Buffer.concat([
      encodeOptionReply(option, nbdOptionReplies.server, encodeServerName(exportName)),
      encodeOptionReply(option, nbdOptionReplies.ack),
    ])
  }

  #information(option: number, data: Buffer): Answer {
    const choice = decodeExportChoice(data)
    if (choice === undefined) return more(refusal(option, nbdOptionReplies.invalid))
    if (choice.name !== exportName) return more(refusal(option, nbdOptionReplies.unknown))
    const sizes = { minimum: 1, preferred: preferredBytes, maximum: nbdLimits.readBytes }
    const bytes = Buffer.concat([
      encodeOptionReply(option, nbdOptionReplies.info, encodeExportInfo(this.#bytes, this.#flags)),
      ...(choice.wanted.includes(nbdInfo.blockSize)
        ? [encodeOptionReply(option, nbdOptionReplies.info, encodeBlockSizes(sizes))]
        : []),
      encodeOptionReply(option, nbdOptionReplies.ack),
    ])
    return { bytes, next: option === nbdOptions.go ? 'requests' : 'options' }
  }

  #contexts(option: number, data: Buffer): Buffer {
    const asked = decodeMetaQuery(data)
    if (asked === undefined || !this.#structured) return refusal(option, nbdOptionReplies.invalid)
    if (asked.name !== exportName) return refusal(option, nbdOptionReplies.unknown)
    const listing = option === nbdOptions.listMetaContext
    const isAsked = (query: string) => query === allocationName || (listing && query === 'base:')
    const found = asked.queries.some(isAsked) || (listing && asked.queries.length === 0)
    if (!listing) this.#allocation = found
    // The number of a context that is only listed means nothing.
    const context = encodeMetaContext(listing ? 0 : allocationContext, allocationName)
    const ack = encodeOptionReply(option, nbdOptionReplies.ack)
    return found ? Buffer.concat([encodeOptionReply(option, nbdOptionReplies.metaContext, context), ack]) : ack
  }
}

function more(bytes: Buffer): Answer {
  return { bytes, next: 'options' }
}

function refusal(option: number, type: number): Buffer {
  return encodeOptionReply(option, type)
}
