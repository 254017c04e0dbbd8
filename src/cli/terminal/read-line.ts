import { createInterface } from 'node:readline/promises'
import type { TerminalInput } from './terminal.ts'

/** One line of what is typed; empty at the end of input. */
export async function readLine(input: TerminalInput, signal: AbortSignal): Promise<string> {
  const lines = createInterface({ input, signal })
  try {
    for await (const line of lines) return line
    return ''
  } finally {
    lines.close()
  }
}
