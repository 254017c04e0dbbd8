import { parseName } from '../../base/index.ts'

/** Checks the names of things before anything is asked of the daemon; each is taken once. @param what for the message: `shed name` */
export function collectNames(what: string): (text: string, previous?: readonly string[]) => string[] {
  return (text, previous = []) => [...new Set([...previous, parseName(text, what)])]
}
