import { isProblem, Problem } from '../../base/index.ts'

/** Why a new shed cannot go on from a memory, with the way out of that; what the VMM itself says of it may be another matter the next time. */
export function withColdBoot(error: unknown): unknown {
  const isFinal = isProblem(error, 'MEMORY_DAMAGED') || isProblem(error, 'STATE_MISMATCH')
  if (!isFinal && !isProblem(error, 'MACHINE_FAILED')) return error
  const boot = 'its disk alone can be booted: add --cold-boot'
  return new Problem(error.code, error.message, {
    hint: isFinal ? boot : `try again; or ${boot}`,
    cause: error,
    ...(error.data === undefined ? {} : { data: error.data }),
  })
}
