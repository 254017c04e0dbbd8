import { errnoCode, isProblem, Problem, type ProblemCode } from '../../base/index.ts'
import type { ErrorReply } from '../../contract/index.ts'

/** What a client is told about a problem. */
export function errorReply({ code, message, hint, data }: Problem): ErrorReply {
  return { error: { code, message, ...(hint === undefined ? {} : { hint }), ...(data === undefined ? {} : { data }) } }
}

/**
 * The Problem that a client may see for whatever was thrown. What nobody foresaw becomes INTERNAL without its details: those are for the
 * log, which the caller writes.
 */
export function problemForClient(error: unknown): Problem {
  if (isProblem(error)) return error
  return (
    problemOfFastify(error) ??
    new Problem('INTERNAL', 'the daemon ran into something that it was not made for', {
      hint: "see the daemon's log for what it was",
      cause: error,
    })
  )
}

/** Whether an error is a defect of cowshed's rather than something that happens. */
export function isUnforeseen(error: unknown): boolean {
  return problemForClient(error).code === 'INTERNAL'
}

/** @see https://fastify.dev/docs/latest/Reference/Errors/#fastify-error-codes */
const fastifyCodes: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'PAYLOAD_TOO_LARGE',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'INVALID_REQUEST',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'INVALID_REQUEST',
  FST_ERR_CTP_INVALID_JSON_BODY: 'INVALID_REQUEST',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'INVALID_REQUEST',
  FST_ERR_BAD_URL: 'INVALID_REQUEST',
}

function problemOfFastify(error: unknown): Problem | undefined {
  const known = fastifyCodes[errnoCode(error) ?? '']
  if (known !== undefined) return new Problem(known, messageOf(error))
  // Bodies that are no JSON come as a SyntaxError of the parser with a status.
  const status = (error as { statusCode?: unknown }).statusCode
  return status === 400 ? new Problem('INVALID_REQUEST', messageOf(error)) : undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
