import { Problem } from '../../base/index.ts'

/** What is under way with a token ends with this when it is revoked. */
export function tokenRevoked(): Problem {
  return new Problem('UNAUTHORIZED', 'the token was revoked')
}

/** How long it may take to say so. */
const graceMs = 2000

/** Ends a connection whose token was revoked, whatever the work on it makes of being told. */
export function cutOffLater(cutOff: () => void): void {
  setTimeout(cutOff, graceMs).unref()
}
