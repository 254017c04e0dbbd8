import type { Readable, Writable } from 'node:stream'

export interface TerminalOutput extends Writable {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

export interface TerminalInput extends Readable {
  readonly isTTY?: boolean
  /** Of a real one. */
  readonly fd?: number
  setRawMode?(raw: boolean): unknown
}

/** Where a command reads and writes: the process's own streams, or a test's. */
export interface Terminal {
  readonly stdin: TerminalInput
  /** Data. */
  readonly stdout: TerminalOutput
  /** Progress, notices, questions, errors. */
  readonly stderr: TerminalOutput
  readonly env: Readonly<Record<string, string | undefined>>
}
