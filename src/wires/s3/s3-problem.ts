import { Problem, printable } from '../../base/index.ts'
import { PassingProblem } from '../patience/index.ts'
import type { S3Request, S3Response } from './s3-exchange.ts'
import { textOf } from './xml.ts'

/** What an answer means that is none. Those that say "later" pass, and so do the store's own failures. */
export function s3Problem({ method, url }: S3Request, { status, headers, body }: S3Response): Problem {
  const text = body.toString('utf8', 0, 64 * 1024)
  const code = textOf(text, 'Code') ?? ''
  const said = [code, textOf(text, 'Message')].filter(Boolean).join(': ').slice(0, 300)
  const message = printable(`${url.host} refuses ${method} ${url.pathname}: ${status}${said === '' ? '' : `, ${said}`}`)
  const details = { hint: hintFor(status, code), data: { status, ...(code === '' ? {} : { code }) } }
  if (!passes(status, code)) return new Problem('BACKUP_TARGET_FAILED', message, details)
  return new PassingProblem('BACKUP_TARGET_FAILED', message, { ...details, retryAfterMs: retryAfter(headers) })
}

/** 400 RequestTimeout: the store lost patience with a slow upload. BadDigest and its kin: the network changed a byte. */
function passes(status: number, code: string): boolean {
  if (status >= 500 || status === 429 || status === 408) return true
  return /^(?:RequestTimeout|SlowDown|InternalError|BadDigest|XAmzContentSHA256Mismatch|IncompleteBody|OperationAborted)$/.test(
    code,
  )
}

function hintFor(status: number, code: string): string {
  if (code === 'NoSuchBucket') return 'make the bucket first: cowshed makes none'
  if (code === 'RequestTimeTooSkewed') return "set this host's clock"
  if (code === 'AuthorizationHeaderMalformed' || status === 301)
    return 'the region is another: set s3.<bucket>.region in config.toml'
  if (status === 401 || status === 403)
    return 'see which credentials the daemon has, and what they may do: docs/backups.md'
  return 'look into the log of the store'
}

/** At most half a minute: a store does not say for how long a backup waits. */
function retryAfter(headers: S3Response['headers']): number | undefined {
  const seconds = Number(headers['retry-after'])
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 30) * 1000 : undefined
}
