import { parseName } from '../../base/index.ts'

/** Checks the names of sheds before anything is asked of the daemon; each is taken once. */
export function shedNames(text: string, previous: readonly string[] = []): string[] {
  const name = parseName(text, 'shed name')
  return previous.includes(name) ? [...previous] : [...previous, name]
}
