import { Problem } from '../../base/index.ts'
import type { AgentConnection } from './agent-connection.ts'
import { exec } from './exec.ts'
import { files } from './files.ts'
import { inTime } from './in-time.ts'
import { unreachable } from './link.ts'
import { machineCalls } from './machine-calls.ts'
import { Session } from './session.ts'

export interface ConnectAgentOptions {
  /** The VMM's end of the agent's channel: a unix socket. */
  readonly socketPath: string
  /** 32 hex digits: the key that the guest was booted with. */
  readonly key: string
  /** Without it only the signal ends the wait for a guest that is still booting. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * Connects to the agent of a guest, which may still be booting: resolves as soon as the agent answers. An agent serves one host at a
 * time: a new connection ends what an earlier one had under way.
 *
 * @throws Problem AGENT_UNREACHABLE, AGENT_PROTOCOL, CANCELLED by the signal
 */
export async function connectAgent({
  socketPath,
  key,
  timeoutMs,
  signal,
}: ConnectAgentOptions): Promise<AgentConnection> {
  if (signal?.aborted === true) throw cancelled()
  const session = new Session({ socketPath, key: parseKey(key) })
  const cancel = () => session.close(cancelled())
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    const hello = await (timeoutMs === undefined
      ? session.hello.promise
      : inTime(session.hello.promise, { timeoutMs, late: (problem) => session.close(problem) }))
    return connection(session, hello)
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}

function connection(session: Session, hello: AgentConnection['hello']): AgentConnection {
  return {
    hello,
    ready: session.ready.promise,
    closed: session.closed.promise,
    close: (problem) => session.close(problem ?? unreachable("the connection to the guest's agent was closed")),
    exec: (spec) => exec(session, spec),
    ...files(session),
    ...machineCalls(session),
  }
}

function parseKey(key: string): Buffer {
  if (!/^[0-9a-f]{32}$/.test(key)) throw new Problem('INTERNAL', "an agent's key is 32 hex digits")
  return Buffer.from(key, 'hex')
}

function cancelled(): Problem {
  return new Problem('CANCELLED', "the wait for the guest's agent was cancelled")
}
