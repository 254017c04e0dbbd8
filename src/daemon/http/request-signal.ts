import type { ServerResponse } from 'node:http'
import { Problem } from '../../base/index.ts'

/** A signal that aborts when the client goes away before it has its answer, or when the daemon stops. */
export function requestSignal(raw: ServerResponse, stopping: AbortSignal): AbortSignal {
  const gone = new AbortController()
  raw.once('close', () => {
    if (!raw.writableFinished) gone.abort(new Problem('CANCELLED', 'the client went away before the work was done'))
  })
  return AbortSignal.any([gone.signal, stopping])
}
