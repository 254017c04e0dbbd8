import { Problem } from '../../base/index.ts'
import { openWorker } from '../../host/index.ts'
import type { AccountingCall, AgainReply } from './measure-worker.ts'
import type { Measurement, MeasureRequest } from './measured-file.ts'
import { type PackedMeasurement, packRenewed, packRequest, unpackMeasurement } from './packed.ts'

/** Exact figures of what is on disk, worked out on a thread of its own that remembers where files were. */
export interface Accounting {
  /**
   * For who will measure soon, beside what they do before that: the thread starts, and looks whether what was measured last is true still.
   *
   * @returns to be given to `measure`
   */
  prepare(): Prepared
  /** @returns for the same request, the same value as long as it is true @throws Problem PERMISSION_DENIED, IO_FAILED */
  measure(request: MeasureRequest, prepared?: Prepared): Promise<Measurement>
  /**
   * What is used of the filesystem of a directory, once all that was written and deleted is on its disk: bytes of data where the filesystem counts
   * those apart, else all.
   *
   * @throws Problem IO_FAILED
   */
  usedBytes(root: string): Promise<number>
  /** Gives back what an xfs holds ready for writes to come; deletes nothing. @throws Problem IO_FAILED */
  releaseReservations(root: string): Promise<void>
  close(): Promise<void>
}

/** What was measured last when somebody prepared, and whether it was true then. */
export interface Prepared {
  readonly id: number | undefined
  readonly isTrue: Promise<boolean>
}

interface Known {
  readonly id: number
  readonly request: MeasureRequest
  readonly measurement: Measurement
}

interface Replied<T> {
  /** What the thread knows the request by. */
  readonly id: number
  readonly reply: T
}

const unknown: Replied<AgainReply> = { id: 0, reply: 'unknown' }

/** The thread starts with the first question. */
export function openAccounting(): Accounting {
  const worker = openWorker({ name: 'measure-worker', module: new URL('./measure-worker.ts', import.meta.url) })
  let isClosed = false
  const call = async <T>(request: AccountingCall): Promise<T> => {
    // It would start a thread that nobody ends.
    if (isClosed) throw new Problem('CANCELLED', 'what is on disk is not measured any more: the daemon ends')
    return await worker.call<T>(request)
  }
  let last: Known | undefined
  let requests = 0
  const ask = async (request: MeasureRequest): Promise<Replied<PackedMeasurement>> => {
    const id = ++requests
    return { id, reply: await call({ do: 'measure', id, request: packRequest(request) }) }
  }
  const askAgain = async ({ id, request: then }: Known, request: MeasureRequest): Promise<Replied<AgainReply>> => {
    if (then === request) return { id, reply: await call({ do: 'again', id }) }
    const files = packRenewed(then, request)
    if (files === undefined) return unknown
    const renewed = ++requests
    return { id: renewed, reply: await call({ do: 'renewed', id, renewed, files }) }
  }
  return {
    prepare() {
      const id = last?.id
      const reply = call<boolean>(id === undefined ? { do: 'nothing' } : { do: 'check', id })
      // Whoever measures is told what is wrong with the thread.
      return { id, isTrue: reply.catch(() => false) }
    },
    async measure(request, prepared) {
      const known = request.fresh ? undefined : last
      if (known?.request === request && prepared?.id === known.id && (await prepared.isTrue)) return known.measurement
      const again = known === undefined ? unknown : await askAgain(known, request)
      if (known !== undefined && again.reply === 'same') return known.measurement
      const { id, reply } = typeof again.reply === 'object' ? { ...again, reply: again.reply } : await ask(request)
      const measurement = unpackMeasurement(reply)
      last = { id, request, measurement }
      return measurement
    },
    usedBytes: (root) => call<number>({ do: 'used', root }),
    async releaseReservations(root) {
      await call<number>({ do: 'release', root })
    },
    async close() {
      isClosed = true
      await worker.close()
    },
  }
}
