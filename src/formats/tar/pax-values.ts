import { tarInvalid } from './tar-invalid.ts'

/**
 * A decimal number without sign.
 *
 * @throws Problem TAR_INVALID also for what JavaScript cannot hold exactly
 */
export function paxInteger(text: string, what: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw tarInvalid(`the PAX record ${what} is not a number that is understood`)
  return value
}

export interface PaxTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/**
 * A time with an optional fraction, as whole seconds (floor) and nanoseconds since then: -1.5 is -2 s and 500,000,000 ns.
 * Digits after the ninth are cut off, toward the past.
 *
 * @throws Problem TAR_INVALID
 */
export function paxTime(text: string, what: string): PaxTime {
  const match = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(text)
  if (match === null) throw tarInvalid(`the PAX record ${what} is not a time`)
  const [, sign, whole = '', fraction = ''] = match
  const seconds = paxInteger(whole, what)
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'))
  if (sign !== '-') return { seconds, nanoseconds }
  const magnitude = nanoseconds + (/[1-9]/.test(fraction.slice(9)) ? 1 : 0)
  return magnitude === 0
    ? { seconds: 0 - seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - magnitude }
}
