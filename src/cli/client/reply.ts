import type { IncomingMessage } from 'node:http'
import { Problem, type ProblemCode, problemCodes } from '../../base/index.ts'

/** No reply is near this; a server that sends more would only have us hold it. */
const maxBytes = 256 * 2 ** 20

/** JSON of a reply; of the daemon of this user, so its shape is what the contract says. @throws Problem SERVER_FAILED */
export async function readJson(response: AsyncIterable<Buffer>): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Problem('SERVER_FAILED', 'the server answers with more than 256 MiB of JSON')
    chunks.push(chunk)
  }
  return parseJson(Buffer.concat(chunks).toString('utf8'))
}

/** @throws Problem SERVER_FAILED */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Problem('SERVER_FAILED', `the answer is not JSON: ${JSON.stringify(text.slice(0, 80))}`, { cause: error })
  }
}

/** The Problem that a daemon answered with. */
export async function problemOfResponse(response: IncomingMessage): Promise<Problem> {
  const value = await readJson(response).catch(() => undefined)
  const problem = problemOfValue(value, `status ${response.statusCode}`)
  // What gives no code is no route of any version of ours: something older, or something else.
  const nameless = problem.code === 'SERVER_FAILED' && problem.data?.nameless === true
  return nameless && response.statusCode === 404
    ? new Problem('ROUTE_NOT_FOUND', problem.message, { cause: problem })
    : problem
}

interface WireError {
  readonly code?: unknown
  readonly message?: unknown
  readonly hint?: unknown
  readonly data?: Readonly<Record<string, unknown>>
}

/** The Problem in an ErrorReply. `otherwise` describes the answer when it is none. */
export function problemOfValue(value: unknown, otherwise: string): Problem {
  const { code, message, hint, data }: WireError = (value as { error?: WireError } | null | undefined)?.error ?? {}
  if (typeof code !== 'string' || typeof message !== 'string') {
    return new Problem('SERVER_FAILED', `the server answered with ${otherwise} and no reason`, {
      data: { nameless: true },
    })
  }
  // A newer daemon may know codes that this client does not.
  const known = Object.hasOwn(problemCodes, code) ? (code as ProblemCode) : 'SERVER_FAILED'
  return new Problem(known, message, {
    ...(typeof hint === 'string' ? { hint } : {}),
    ...(typeof data === 'object' && data !== null ? { data } : {}),
  })
}
