/**
 * 64 random bits for each of so many numbers, as two halves side by side. A set is named by those of its members, each half added up without carry:
 * going through it would cost its size with every member that comes or goes.
 */
export function randomNames(count: number): Int32Array {
  const names = new Int32Array(2 * count)
  // It fills no more than 64 KiB at once.
  for (let at = 0; at < names.length; at += 16_384) crypto.getRandomValues(names.subarray(at, at + 16_384))
  return names
}
