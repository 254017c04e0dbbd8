import { problemFromSystem } from '../../base/index.ts'
import { releaseReservations, serveCalls, usedByFiles } from '../../host/index.ts'
import { extentCache } from './extent-cache.ts'
import { holds, type Measured, measure } from './measure.ts'
import type { MeasureRequest } from './measured-file.ts'
import {
  type PackedFiles,
  type PackedMeasurement,
  type PackedRequest,
  packMeasurement,
  renewFiles,
  unpackRequest,
} from './packed.ts'

/** What the thread is asked to do; all of it blocks. */
export type AccountingCall =
  | { readonly do: 'measure'; readonly id: number; readonly request: PackedRequest }
  /** What was asked last, if it was that, of files of which some are not as they were. */
  | { readonly do: 'renewed'; readonly id: number; readonly renewed: number; readonly files: PackedFiles }
  /** What was asked last, if it was that. */
  | { readonly do: 'again'; readonly id: number }
  /** Whether what was found then is what would be found now. */
  | { readonly do: 'check'; readonly id: number }
  | { readonly do: 'used' | 'release'; readonly root: string }
  | { readonly do: 'nothing' }

/** `unknown`: it was not asked last. */
export type AgainReply = PackedMeasurement | 'same' | 'unknown'

const cache = extentCache()
let last: { readonly id: number; readonly request: MeasureRequest; readonly measured: Measured } | undefined

serveCalls((call: AccountingCall): AgainReply | number | boolean => {
  switch (call.do) {
    case 'measure':
      return measureAnew(call.id, unpackRequest(call.request))
    case 'renewed':
      return last?.id === call.id ? measureAnew(call.renewed, renewFiles(last.request, call.files)) : 'unknown'
    case 'again':
      if (last?.id !== call.id) return 'unknown'
      return holds(last.request, last.measured, cache) ? 'same' : measureAnew(call.id, last.request)
    case 'check':
      return last?.id === call.id && holds(last.request, last.measured, cache)
    case 'nothing':
      return false
    case 'used':
      return doing('measure what is used of the filesystem of', call.root, usedByFiles)
    case 'release':
      return doing('give back reservations on', call.root, (root) => {
        releaseReservations(root)
        return usedByFiles(root)
      })
  }
})

function measureAnew(id: number, request: MeasureRequest): PackedMeasurement {
  const measured = measure(request, cache)
  last = { id, request, measured }
  return packMeasurement(measured.measurement)
}

function doing(what: string, root: string, work: (root: string) => number): number {
  try {
    return work(root)
  } catch (error) {
    throw problemFromSystem(error, `${what} ${root}`)
  }
}
