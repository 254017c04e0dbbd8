import { isProblem, Problem, printable, printableJson } from '../base/index.ts'
import type { Terminal } from './terminal/terminal.ts'

export interface ReportTo {
  readonly terminal: Pick<Terminal, 'stderr' | 'env'>
  /** A program reads along: one JSON object a line, `{"error": {"code", "message", "hint"}}`, as the API has it. */
  readonly json: boolean
}

/** Tells what went wrong and what to type next, on stderr. Stacks only for those who ask: COWSHED_DEBUG=1. */
export function reportError({ terminal: { stderr, env }, json }: ReportTo, error: unknown): void {
  stderr.write(json ? `${printableJson(JSON.stringify({ error: errorValue(error) }))}\n` : errorText(error))
  if (env.COWSHED_DEBUG && error instanceof Error) stderr.write(`${stackOf(error)}\n`)
}

/** An error as --json shows it. */
export function errorValue(error: unknown): { code: string; message: string; hint?: string } {
  const { code, message, hint } = isProblem(error) ? error : new Problem('INTERNAL', messageOf(error), debugHint)
  return { code, message, ...(hint === undefined ? {} : { hint }) }
}

function errorText(error: unknown): string {
  const { message, hint } = errorValue(error)
  return `error: ${printableLines(message)}\n${hint === undefined ? '' : `hint: ${printableLines(hint)}\n`}`
}

const debugHint = { hint: 'this is a defect of cowshed; COWSHED_DEBUG=1 shows where' }

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Lines are kept: a message may quote the last lines of a console. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
