import { printable } from '../../base/index.ts'
import type { Answered } from '../servers/ask-every-server.ts'

/** Which servers did not answer, and why. */
export function fleetErrors(answers: readonly Answered<unknown>[]): string {
  return answers
    .flatMap((answered) =>
      answered.error === undefined ? [] : `${printable(answered.server_name)}: ${errorLines(answered.error)}`,
    )
    .join('')
}

/** A block for one that did not answer, where others have theirs. */
export function fleetError({ server_name, error }: Answered<unknown>): string {
  return error === undefined ? '' : `SERVER: ${printable(server_name)}\n${errorLines(error)}`
}

function errorLines({ message, hint }: NonNullable<Answered<unknown>['error']>): string {
  const next = hint === undefined ? '' : `hint: ${printable(hint)}\n`
  return `error: ${printable(message)}\n${next}`
}
