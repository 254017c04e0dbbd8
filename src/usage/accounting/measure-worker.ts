import { problemFromSystem } from '../../base/index.ts'
import { measureSpace, releaseReservations, serveCalls, settleFilesystem } from '../../host/index.ts'
import { extentCache } from './extent-cache.ts'
import { measure } from './measure.ts'
import type { Measurement, MeasureRequest } from './measured-file.ts'

/** What the thread is asked to do; all of it blocks. */
export type AccountingCall =
  | ({ readonly do: 'measure' } & MeasureRequest)
  | { readonly do: 'used' | 'release'; readonly root: string }

const cache = extentCache()

serveCalls((call: AccountingCall): Measurement | number => {
  switch (call.do) {
    case 'measure':
      return measure(call, cache)
    case 'used':
      return doing('measure what is used of the filesystem of', call.root, usedBytes)
    case 'release':
      return doing('give back reservations on', call.root, (root) => {
        releaseReservations(root)
        return usedBytes(root)
      })
  }
})

function usedBytes(root: string): number {
  settleFilesystem(root)
  const { dataBytes, usedBytes: used } = measureSpace(root)
  return dataBytes ?? used
}

function doing(what: string, root: string, work: (root: string) => number): number {
  try {
    return work(root)
  } catch (error) {
    throw problemFromSystem(error, `${what} ${root}`)
  }
}
