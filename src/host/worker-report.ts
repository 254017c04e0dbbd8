import { isProblem, Problem, type ProblemCode } from '../base/index.ts'

/** What a thread is told when nobody waits for its job any more. */
export const endOfJob = 'end'

/** What a worker is to do. */
export interface WorkerJob {
  readonly input: unknown
}

/** What a worker sends to the thread that started it. */
export type WorkerReport =
  | { readonly kind: 'posted'; readonly value: unknown }
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'failed'; readonly problem: WireProblem }

/** A call to a thread that answers many. */
export interface CallRequest {
  readonly id: number
  readonly input: unknown
}

export type CallReply =
  | { readonly kind: 'done'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly problem: WireProblem }

/** A Problem as structured clone can carry it: a clone of an Error loses its class and its fields. */
export interface WireProblem {
  readonly code: ProblemCode
  readonly message: string
  readonly hint?: string
  readonly data?: Readonly<Record<string, unknown>>
  readonly cause?: string
}

export function problemToWire(error: unknown): WireProblem {
  if (!isProblem(error))
    return { code: 'INTERNAL', message: describe(error).split('\n')[0] ?? '', cause: describe(error) }
  return {
    code: error.code,
    message: error.message,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.data === undefined ? {} : { data: error.data }),
    ...(error.cause === undefined ? {} : { cause: describe(error.cause) }),
  }
}

export function problemFromWire({ code, message, hint, data, cause }: WireProblem): Problem {
  return new Problem(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(data === undefined ? {} : { data }),
    ...(cause === undefined ? {} : { cause: new Error(cause) }),
  })
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
