import { createHash, type Hash } from 'node:crypto'
import { Problem } from './problem.ts'

/** A content digest as OCI writes it, `sha256:<64 hex>`; only ever made by parseDigest, digestOf and DigestHasher. */
export type Digest = string & { readonly __digest: unique symbol }

const grammar = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[A-Za-z0-9=_-]+$/
const hexLengths = new Map([
  ['sha256', 64],
  ['sha512', 128],
])

/**
 * Checks a digest string before it is ever used as a path or in a URL.
 *
 * @throws Problem IMAGE_INVALID when it is not of the grammar; IMAGE_UNSUPPORTED when its algorithm is not sha256 or sha512.
 * @see image-spec descriptor.md, "Digests"; CVE-2024-3727
 */
export function parseDigest(text: string): Digest {
  if (text.length > 256 || !grammar.test(text)) {
    throw new Problem('IMAGE_INVALID', `not a digest: ${JSON.stringify(text.slice(0, 80))}`)
  }
  const [algorithm, encoded] = splitDigest(text)
  const length = hexLengths.get(algorithm)
  if (length === undefined) {
    throw new Problem('IMAGE_UNSUPPORTED', `digest algorithm ${algorithm} is not supported (sha256 and sha512 are)`)
  }
  if (encoded.length !== length || !/^[a-f0-9]+$/.test(encoded)) {
    throw new Problem('IMAGE_INVALID', `not a ${algorithm} digest: ${JSON.stringify(text.slice(0, 160))}`)
  }
  return text as Digest
}

export function isDigest(text: string): text is Digest {
  const [algorithm, encoded] = splitDigest(text)
  return hexLengths.get(algorithm) === encoded.length && /^[a-f0-9]+$/.test(encoded)
}

/** The algorithm of a digest: `sha256`. */
export function digestAlgorithm(digest: Digest): 'sha256' | 'sha512' {
  return splitDigest(digest)[0] as 'sha256' | 'sha512'
}

/** The hex part of a digest. */
export function digestHex(digest: Digest): string {
  return splitDigest(digest)[1]
}

/** How a digest is shown to people: the first 12 hex digits. */
export function shortDigest(digest: string): string {
  return splitDigest(digest)[1].slice(0, 12)
}

/** The sha256 digest of bytes that are in memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}

/** A sha256 digest of hex digits that something else has computed. */
export function sha256Digest(hex: string): Digest {
  return parseDigest(`sha256:${hex}`)
}

/** Hashes a stream piece by piece; `digest()` may be called once. */
export class DigestHasher {
  readonly #hash: Hash
  readonly #algorithm: 'sha256' | 'sha512'
  bytes = 0

  constructor(algorithm: 'sha256' | 'sha512' = 'sha256') {
    this.#algorithm = algorithm
    this.#hash = createHash(algorithm)
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk)
    this.bytes += chunk.length
  }

  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}` as Digest
  }
}

function splitDigest(text: string): [string, string] {
  const colon = text.indexOf(':')
  return colon < 0 ? ['', text] : [text.slice(0, colon), text.slice(colon + 1)]
}
