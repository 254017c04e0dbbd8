/**
 * How many bytes of an upload a registry has, from its Range header: `0-1023` is 1024. Undefined when it does not say.
 *
 * `0-0` counts as none: that is what registries say of an upload that has just begun, and nobody sends a first chunk of one byte.
 *
 * @see distribution-spec, "Pushing a blob in chunks"
 */
export function parseReceived(header: string): number | undefined {
  const match = /^(?:bytes[= ])?0-(\d{1,16})$/i.exec(header.trim())
  if (match === null) return undefined
  const last = Number(match[1])
  if (!Number.isSafeInteger(last + 1)) return undefined
  return last === 0 ? 0 : last + 1
}
