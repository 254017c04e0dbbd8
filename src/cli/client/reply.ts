import type { IncomingMessage } from 'node:http'
import { Problem, type ProblemCode, problemCodes } from '../../base/index.ts'

/** JSON of a reply; the daemon's, so its shape is what the contract says. */
export async function readJson(response: AsyncIterable<Buffer>): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Problem('SERVER_FAILED', `the answer is not JSON: ${JSON.stringify(text.slice(0, 80))}`, { cause: error })
  }
}

/** The Problem that a daemon answered with. */
export async function problemOfResponse(response: IncomingMessage): Promise<Problem> {
  const value = await readJson(response).catch(() => undefined)
  return problemOfValue(value, `status ${response.statusCode}`)
}

interface WireError {
  readonly code?: unknown
  readonly message?: unknown
  readonly hint?: unknown
  readonly data?: Readonly<Record<string, unknown>>
}

/** The Problem in an ErrorReply. `otherwise` describes the answer when it is none. */
export function problemOfValue(value: unknown, otherwise: string): Problem {
  const { code, message, hint, data }: WireError = (value as { error?: WireError } | undefined)?.error ?? {}
  if (typeof code !== 'string' || typeof message !== 'string') {
    return new Problem('SERVER_FAILED', `the server answered with ${otherwise} and no reason`)
  }
  // A newer daemon may know codes that this client does not.
  const known = code in problemCodes ? (code as ProblemCode) : 'SERVER_FAILED'
  return new Problem(known, message, {
    ...(typeof hint === 'string' ? { hint } : {}),
    ...(data === undefined ? {} : { data }),
  })
}
