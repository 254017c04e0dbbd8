/** A digest, or the beginning of one, says nothing about where to look. */
export function isLocalOnly(ref: string): boolean {
  return /^(?:sha(?:256|512):.*|[a-f0-9]{12,64})$/.test(ref)
}
