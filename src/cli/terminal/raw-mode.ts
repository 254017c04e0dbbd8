import { spawnSync } from 'node:child_process'
import type { TerminalInput } from './terminal.ts'

/**
 * Makes a terminal pass on every key, and everything that is printed, as it is. Does nothing for a stdin that is none.
 *
 * @returns how to make it as it was; also done when the process ends without coming to that
 */
export function rawMode(stdin: TerminalInput): () => void {
  if (stdin.isTTY !== true || stdin.setRawMode === undefined) return () => {}
  stdin.setRawMode(true)
  printAsIs(stdin)
  const restore = () => {
    process.off('exit', restore)
    stdin.setRawMode?.(false)
  }
  process.on('exit', restore)
  return restore
}

/**
 * Node's raw mode still makes a carriage return and a line feed of every line feed (libuv, uv_tty_set_mode). The guest's terminal has done that
 * already, and an editor that moves the cursor straight down by a line feed would find it at the left edge. Leaving raw mode undoes it.
 */
function printAsIs({ fd }: TerminalInput): void {
  // Without stty things look a little odd, and work.
  if (fd !== undefined) spawnSync('stty', ['-opost'], { stdio: [fd, 'ignore', 'ignore'], timeout: 2000 })
}
