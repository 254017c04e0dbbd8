import { type Digest, Problem, shortDigest } from '../base/index.ts'

export function sizeMismatch(digest: Digest, size: number, actual: string): Problem {
  return new Problem('SIZE_MISMATCH', `blob ${shortDigest(digest)} should have ${size} bytes and has ${actual}`, {
    hint: 'the copy is damaged or was tampered with: get it again',
    data: { digest, size },
  })
}

export function digestMismatch(expected: Digest, actual: Digest): Problem {
  return new Problem('DIGEST_MISMATCH', `blob ${shortDigest(expected)} is not what its digest says`, {
    hint: 'the copy is damaged or was tampered with: get it again',
    data: { expected, actual },
  })
}

export function cancelled(signal: AbortSignal): Problem {
  return new Problem('CANCELLED', 'cancelled', { cause: signal.reason })
}
