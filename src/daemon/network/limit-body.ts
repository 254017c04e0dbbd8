import type { IncomingMessage } from 'node:http'

/** How long a body may stop coming. */
const silenceMs = 120_000

/** Ends a connection whose request stops coming half way: uploads last as long as they last, as long as they go on. */
export function limitBody(request: IncomingMessage, silence: number = silenceMs): void {
  const { socket } = request
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return
  let seen = socket.bytesRead
  // Not the socket's own timeout, which Node sets for connections that are kept.
  const timer = setInterval(() => {
    if (request.complete) clearInterval(timer)
    else if (socket.bytesRead === seen) socket.destroy()
    seen = socket.bytesRead
  }, silence).unref()
  request.once('close', () => clearInterval(timer))
}
