import type { TerminalInput } from './terminal.ts'

/**
 * Makes a terminal pass on every key as it is. Does nothing for a stdin that is none.
 *
 * @returns how to make it as it was; also done when the process ends without coming to that
 */
export function rawMode(stdin: TerminalInput): () => void {
  if (stdin.isTTY !== true || stdin.setRawMode === undefined) return () => {}
  stdin.setRawMode(true)
  const restore = () => {
    process.off('exit', restore)
    stdin.setRawMode?.(false)
  }
  process.on('exit', restore)
  return restore
}
