/** What 32 bits and the two of i_*time_extra can say: 1901 to 2446. */
const earliest = -(2 ** 31)
const latest = 2 ** 34 + earliest - 1

export interface InodeTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/** The nearest time that an inode can have, as the kernel does it (timestamp_truncate). */
export function storableTime({ seconds, nanoseconds }: InodeTime): InodeTime {
  if (seconds < earliest) return { seconds: earliest, nanoseconds: 0 }
  if (seconds > latest || (seconds === latest && nanoseconds > 0)) return { seconds: latest, nanoseconds: 0 }
  return { seconds, nanoseconds }
}

/** The two words of a storable time: seconds modulo 2^32, and above them two more bits with the nanoseconds. */
export function timeWords({ seconds, nanoseconds }: InodeTime): { readonly low: number; readonly extra: number } {
  const low = seconds >>> 0
  // The low word is read as a signed one, so that the extra bits say how often 2^32 is to be added to that.
  const epoch = (seconds - (low | 0)) / 2 ** 32
  return { low, extra: (nanoseconds * 4 + epoch) >>> 0 }
}
