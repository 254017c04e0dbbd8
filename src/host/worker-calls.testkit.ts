/** A worker for the tests of openWorker: it adds up. */
import { Problem } from '../base/index.ts'
import { serveCalls } from './index.ts'

let sum = 0

serveCalls(({ add, problem, exit }: { add?: number; problem?: string; exit?: number }) => {
  if (problem !== undefined) throw new Problem('TAR_INVALID', problem, { hint: 'try again' })
  if (exit !== undefined) process.exit(exit)
  sum += add ?? 0
  return sum
})
