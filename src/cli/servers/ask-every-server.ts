import { Problem } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { ApiClient } from '../client/api-client.ts'
import { errorValue } from '../report-error.ts'

/** What one server answered, or why it did not. */
export interface Answered<T> {
  readonly server_name: string
  readonly answer?: T
  readonly error?: ReturnType<typeof errorValue>
}

export interface AskEveryServer<T> {
  readonly ask: (api: ApiClient, signal: AbortSignal) => Promise<T>
  /** How long each may take, in milliseconds; without it as long as it takes. */
  readonly timeoutMs?: number
}

/** So many at a time. */
const atOnce = 8

/**
 * Asks every server the same, side by side. One that does not answer, or is too old to know what is asked, keeps nobody else from it.
 *
 * @throws Problem SERVER_NOT_FOUND when there is nobody to ask, CANCELLED
 */
export async function askEveryServer<T>(cli: Cli, { ask, timeoutMs }: AskEveryServer<T>): Promise<Answered<T>[]> {
  const servers = await cli.everyServer()
  if (servers.length === 0) {
    throw new Problem('SERVER_NOT_FOUND', 'there is no server to ask: none was added, and no daemon runs here', {
      hint: 'cowshed server add NAME URL --token-stdin',
    })
  }
  const answers: Answered<T>[] = []
  const waiting = [...servers.entries()]
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [at, { name, connect }] = next
      answers[at] = await answerOf(name, async () => {
        const { api } = await connect()
        return await inTime(cli, timeoutMs, (signal) => ask(api, signal))
      })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  if (cli.signal.aborted) throw new Problem('CANCELLED', 'interrupted')
  return answers
}

async function answerOf<T>(server_name: string, ask: () => Promise<T>): Promise<Answered<T>> {
  try {
    return { server_name, answer: await ask() }
  } catch (error) {
    return { server_name, error: errorValue(error) }
  }
}

async function inTime<T>(cli: Cli, ms: number | undefined, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  if (ms === undefined) return await ask(cli.signal)
  const late = new AbortController()
  const problem = new Problem('SERVER_UNREACHABLE', `it did not answer within ${ms / 1000} seconds`, {
    hint: 'to wait longer: --timeout 5m',
  })
  const timer = setTimeout(() => late.abort(problem), ms)
  try {
    return await ask(AbortSignal.any([cli.signal, late.signal]))
  } finally {
    clearTimeout(timer)
  }
}
