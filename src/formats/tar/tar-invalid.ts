import { Problem } from '../../base/index.ts'

/** The Problem of a member that cannot be understood. The reader adds which member it is. */
export function tarInvalid(message: string): Problem {
  return new Problem('TAR_INVALID', message)
}

export function limitExceeded(message: string): Problem {
  return new Problem('LIMIT_EXCEEDED', message)
}

/** The same, of a fault that is the archive's and no member's. */
export function tarInvalidAt(offset: number, message: string): Problem {
  return new Problem('TAR_INVALID', `${message} (at byte ${offset})`, { data: { offset } })
}
