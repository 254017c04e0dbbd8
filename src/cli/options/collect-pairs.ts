import { Problem } from '../../base/index.ts'

/** Collects `K=V` of an option that may be repeated; the last value of a key counts. A value may hold `=`, and may be empty. */
export function collectPairs(option: string) {
  return (text: string, previous: Readonly<Record<string, string>> = {}): Record<string, string> => {
    const equals = text.indexOf('=')
    if (equals < 1) {
      throw new Problem('INVALID_REQUEST', `${option} ${JSON.stringify(text)} is not K=V`, {
        hint: `write it like ${option} NAME=value`,
      })
    }
    return { ...previous, [text.slice(0, equals)]: text.slice(equals + 1) }
  }
}
