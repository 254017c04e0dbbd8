import { Problem } from '../base/index.ts'
import type { Cli } from './cli.ts'
import { readLine } from './terminal/read-line.ts'

export interface Confirm {
  /** Without the `[y/N]`. */
  readonly question: string
  readonly force: boolean | undefined
}

/**
 * Asks before something that cannot be undone.
 *
 * @returns false when the person does not want it
 * @throws Problem CONFIRMATION_REQUIRED when there is nobody to ask: no terminal, or a program that reads JSON
 */
export async function confirm(cli: Cli, { question, force }: Confirm): Promise<boolean> {
  if (force === true) return true
  const { stdin, stderr } = cli.terminal
  if (cli.json || stdin.isTTY !== true) {
    const why = cli.json ? '--json asks no questions' : 'there is no terminal to ask at'
    throw new Problem('CONFIRMATION_REQUIRED', `this removes data, and ${why}`, { hint: 'to do it anyway: --force' })
  }
  stderr.write(`${question} [y/N] `)
  const answer = await readLine(stdin, cli.signal)
  return /^y(es)?$/i.test(answer.trim())
}
