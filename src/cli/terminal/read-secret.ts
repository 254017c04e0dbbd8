import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Terminal } from './terminal.ts'

export interface ReadSecret extends Pick<Terminal, 'stdin' | 'stderr'> {
  readonly question: string
  readonly signal: AbortSignal
}

/** One line of what is typed, which is not shown. */
export async function readSecret({ stdin, stderr, question, signal }: ReadSecret): Promise<string> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true })
  stderr.write(question)
  try {
    return await lines.question('', { signal })
  } finally {
    lines.close()
    stderr.write('\n')
  }
}
