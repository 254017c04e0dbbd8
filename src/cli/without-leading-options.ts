/** Common options that a value follows. */
const withValue = ['--data', '--progress', '--server', '-s']

/** A command line from the command's name on: what stands before it can only be common options. */
export function withoutLeadingOptions(words: readonly string[]): readonly string[] {
  const [first = ''] = words
  if (!first.startsWith('-')) return words
  return withoutLeadingOptions(words.slice(withValue.includes(first) ? 2 : 1))
}
