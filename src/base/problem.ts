import { type ProblemCode, problemCodes } from './problem-codes.ts'

export interface ProblemDetails {
  /** The next thing to type or to look at, as an imperative: "run: cowshed doctor". */
  readonly hint?: string
  readonly cause?: unknown
  /** For programs: whatever identifies what went wrong. JSON values only. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** The one error that cowshed throws on purpose: a code for programs, a message that says what happened and why, a hint that says what to do. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly hint: string | undefined
  readonly data: Readonly<Record<string, unknown>> | undefined

  constructor(code: ProblemCode, message: string, details: ProblemDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.hint = details.hint
    this.data = details.data
  }

  /** The HTTP status of this problem's code. */
  get status(): number {
    return problemCodes[this.code].status
  }

  /** The CLI's exit code for this problem's code. */
  get exitCode(): number {
    return problemCodes[this.code].exit
  }
}

/**
 * Whether an error is a Problem, and one of that code. Known by its name and not by its class: the bundles of the CLI and the daemon each have
 * a class of their own, and one runs the other.
 */
export function isProblem(error: unknown, code?: ProblemCode): error is Problem {
  return error instanceof Error && error.name === 'Problem' && (code === undefined || (error as Problem).code === code)
}

/** The `code` of a Node system error such as ENOENT; undefined for anything else. */
export function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || isProblem(error)) return undefined
  const { code } = error as NodeJS.ErrnoException
  return typeof code === 'string' ? code : undefined
}

/**
 * Turns what the operating system threw into a Problem that says what was being done. A Problem passes through as it is.
 *
 * @param doing what was attempted, for the message: "write /var/lib/cowshed/x"
 */
export function problemFromSystem(error: unknown, doing: string): Problem {
  if (isProblem(error)) return error
  const message = `cannot ${doing}: ${reasonOf(error, doing)}`
  switch (errnoCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new Problem('NO_SPACE', `cannot ${doing}: no space left`, {
        hint: 'see what holds the space: cowshed system df -v; then: cowshed system prune',
        cause: error,
      })
    case 'ENOENT':
      return new Problem('FILE_NOT_FOUND', message, { hint: 'see whether the path is right', cause: error })
    case 'EEXIST':
      return new Problem('FILE_EXISTS', message, { cause: error })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new Problem('PERMISSION_DENIED', message, {
        hint: 'check who owns the path and as whom the daemon runs',
        cause: error,
      })
    default:
      return new Problem('IO_FAILED', message, { cause: error })
  }
}

/** What the system said, in its words: without the code and the call that Node puts around them, and with the path unless that has been named. */
function reasonOf(error: unknown, doing: string): string {
  if (!(error instanceof Error)) return String(error)
  const { code, syscall, path, message } = error as NodeJS.ErrnoException
  if (code === undefined || syscall === undefined || !message.startsWith(`${code}: `)) return message
  const [words = message] = message.slice(code.length + 2).split(`, ${syscall}`)
  return path === undefined || doing.includes(path) ? words : `${words}: ${path}`
}
