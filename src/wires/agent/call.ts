import { isProblem, Problem } from '../../base/index.ts'
import type { CallOptions, GuestPath } from './agent-connection.ts'
import type { GuestChannel } from './guest-channel.ts'
import { defaultTimeoutMs, inTime } from './in-time.ts'
import type { Request, Session } from './session.ts'

/** Asks for something that is answered by one OK. @returns what `decode` makes of its payload */
export async function call<T>(
  session: Session,
  request: Request,
  { options, decode }: { readonly options: CallOptions | undefined; readonly decode: (reply: Buffer) => T },
): Promise<T> {
  const channel = session.open(request)
  const final = await answerOf(session, channel, { promise: channel.final.promise, options })
  if (final.kind !== 'ok') throw new Problem('AGENT_PROTOCOL', `the guest answered ${final.kind} to ${request.kind}`)
  return strictly(session, () => decode(final.reply))
}

/** Waits for one answer on a channel; a guest that does not give it in time is told to forget about it. */
export async function answerOf<T>(
  session: Session,
  channel: GuestChannel,
  { promise, options }: { readonly promise: Promise<T>; readonly options: CallOptions | undefined },
): Promise<T> {
  const timeoutMs = options?.timeoutMs ?? defaultTimeoutMs
  return await inTime(promise, { timeoutMs, late: (problem) => session.cancel(channel, problem) })
}

/** Reads something that the guest said; when it breaks the protocol the whole connection ends. */
export function strictly<T>(session: Session, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (isProblem(error, 'AGENT_PROTOCOL')) session.close(error)
    throw error
  }
}

export function nothing(): void {}

/** @throws Problem INVALID_REQUEST for what cannot be a path in any guest */
export function pathBytes(path: GuestPath): Buffer {
  const bytes = Buffer.from(path)
  if (bytes.length === 0 || bytes.includes(0)) {
    throw new Problem('INVALID_REQUEST', 'a path in a guest is not empty and has no NUL in it')
  }
  return bytes
}
