import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * A token as people carry it: `cowshed_<id>_<secret>`. The beginning lets scanners of repositories find it, the id is how it is looked up
 * without comparing secrets, and the 256 random bits of the secret need neither salt nor a slow hash.
 */
const pattern = /^cowshed_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/

export function newSecret(id: string): string {
  return `cowshed_${id}_${randomBytes(32).toString('base64url')}`
}

/** The id in a token; undefined for what cannot be one. */
export function idOfSecret(text: string): string | undefined {
  return pattern.exec(text)?.[1]
}

/** What is kept of a token: SHA-256, in hex. */
export function hashOfSecret(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** In the same time whatever differs. */
export function isSecretOf(text: string, hash: string): boolean {
  return timingSafeEqual(createHash('sha256').update(text).digest(), Buffer.from(hash, 'hex'))
}
