import type { IncomingMessage, ServerResponse } from 'node:http'
import { Problem } from '../../base/index.ts'
import { callerOf } from '../access/callers.ts'
import { cutOffLater, tokenRevoked } from '../access/token-revoked.ts'

/** A signal that aborts when the client goes away before it has its answer, when its token is revoked, or when the daemon stops. */
export function requestSignal(request: IncomingMessage, raw: ServerResponse, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController()
  const forget = callerOf(request)?.onRevoked(() => {
    gone.abort(tokenRevoked())
    cutOffLater(() => raw.destroy())
  })
  raw.once('close', () => {
    forget?.()
    if (!raw.writableFinished) gone.abort(new Problem('CANCELLED', 'the client went away before the work was done'))
  })
  return AbortSignal.any([gone.signal, stopping])
}
