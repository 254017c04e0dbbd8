import { isProblem, printable } from '../base/index.ts'
import type { Terminal } from './terminal/terminal.ts'

/** Tells the person what went wrong and what to type next. Stacks only for those who ask: COWSHED_DEBUG=1. */
export function reportError({ stderr, env }: Pick<Terminal, 'stderr' | 'env'>, error: unknown): void {
  stderr.write(errorText(error))
  if (env.COWSHED_DEBUG && error instanceof Error) stderr.write(`${stackOf(error)}\n`)
}

function errorText(error: unknown): string {
  if (!isProblem(error)) {
    const message = error instanceof Error ? error.message : String(error)
    return `error: ${printable(message)}\nhint: this is a defect of cowshed; COWSHED_DEBUG=1 shows where\n`
  }
  const hint = error.hint === undefined ? '' : `hint: ${printableLines(error.hint)}\n`
  return `error: ${printableLines(error.message)}\n${hint}`
}

/** Lines are kept: a message may quote the last lines of a console. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
