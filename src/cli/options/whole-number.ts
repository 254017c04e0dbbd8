import { Problem } from '../../base/index.ts'

/** Parses the value of an option that is a whole number within bounds. */
export function wholeNumber(
  option: string,
  { min, max = Number.MAX_SAFE_INTEGER }: { readonly min: number; readonly max?: number },
) {
  return (text: string): number => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (number >= min && number <= max) return number
    const bounds = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`
    throw new Problem('INVALID_REQUEST', `${option} ${JSON.stringify(text)} is not a whole number ${bounds}`)
  }
}
