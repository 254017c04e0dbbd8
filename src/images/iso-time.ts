/** A time that an image says of itself, as ISO 8601 in UTC; undefined when it says none that can be understood. */
export function isoTime(text: string | undefined): string | undefined {
  const time = new Date(text ?? '')
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString()
}
