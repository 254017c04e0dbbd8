import type { Command } from 'commander'
import { Problem, parseDuration } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import { type Answered, type AskEveryServer, askEveryServer } from '../servers/ask-every-server.ts'

export interface FleetOptions {
  readonly all?: boolean
  readonly strict?: boolean
  readonly timeout?: number
}

const defaultTimeoutMs = 30_000

/** For every command that can be put to all servers at once. */
export function addFleetOptions(command: Command): Command {
  return command
    .option(
      '--all',
      'on every server that was added, and on this host if its daemon runs; those that do not answer are told of',
    )
    .option('--strict', 'with --all: exit code 6 when one of them did not answer')
    .option('--timeout <duration>', 'with --all: how long each may take (30s)', positiveDuration)
}

/** @throws Problem INVALID_REQUEST for what makes no sense together */
export function checkFleetOptions({ asked }: Pick<Cli, 'asked'>, { all, strict, timeout }: FleetOptions): void {
  if (all !== true && (strict === true || timeout !== undefined)) {
    throw new Problem('INVALID_REQUEST', '--strict and --timeout are about --all')
  }
  if (all === true && asked.server !== undefined) {
    throw new Problem('INVALID_REQUEST', '--all and --server each say whom to ask', { hint: 'give one of them' })
  }
}

/** Asks all of them something that changes nothing. */
export function askAll<T>(cli: Cli, { timeout }: FleetOptions, ask: AskEveryServer<T>['ask']): Promise<Answered<T>[]> {
  return askEveryServer(cli, { ask, timeoutMs: timeout ?? defaultTimeoutMs })
}

/** Those that did not answer are no failure, unless somebody wants that. @returns the exit code */
export function exitCodeOf(answers: readonly Answered<unknown>[], { strict }: FleetOptions): number {
  return strict === true && answers.some(({ error }) => error !== undefined) ? partial : 0
}

const partial = 6

function positiveDuration(text: string): number {
  const ms = parseDuration(text)
  if (ms > 0) return ms
  throw new Problem('INVALID_REQUEST', '--timeout 0 would wait for nobody')
}
