import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Runs a program to its end and throws when it fails. @returns wall time in milliseconds, and what it printed */
export async function runCommand(command: string, args: readonly string[]): Promise<{ ms: number; stdout: string }> {
  const start = performance.now()
  const { stdout } = await run(command, args, { maxBuffer: 64 << 20, timeout: 600_000 })
  return { ms: performance.now() - start, stdout }
}
