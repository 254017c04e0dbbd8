import { isProblem, Problem } from '../../base/index.ts'
import { decodeTrimmedBytes } from '../../formats/index.ts'
import type { AgentConnection, CallOptions } from './agent-connection.ts'
import { answerOf, call, nothing, pathBytes } from './call.ts'
import type { Session } from './session.ts'

type MachineCalls = Pick<
  AgentConnection,
  'sync' | 'freeze' | 'thaw' | 'trim' | 'setClock' | 'setIdentity' | 'poweroff' | 'mount' | 'grow' | 'begin'
>

/** Writing back everything that is dirty takes a while on a slow disk. */
const diskTimeoutMs = 120_000
const defaultGraceMs = 30_000
const entropyMax = 512
const longestFreezeMs = 60_000

/** What is done to the guest as a whole. */
export function machineCalls(session: Session): MachineCalls {
  const disk = (options: CallOptions | undefined) => ({ timeoutMs: diskTimeoutMs, ...options })
  return {
    sync: (options) => call(session, { kind: 'sync' }, { options: disk(options), decode: nothing }),
    freeze: ({ longestMs = longestFreezeMs, ...options } = {}) =>
      call(session, { kind: 'freeze', longestMs }, { options: disk(options), decode: nothing }),
    thaw: (options) => call(session, { kind: 'thaw' }, { options: disk(options), decode: nothing }),
    trim: async ({ serial, ...options } = {}) => {
      const request = { kind: 'trim', serial } as const
      const trimmedBytes = await call(session, request, { options: disk(options), decode: decodeTrimmedBytes })
      return { trimmedBytes }
    },
    mount: async ({ serial, path, readOnly }, options) => {
      const request = { kind: 'mount', serial, path: pathBytes(path), readOnly } as const
      await call(session, request, { options: disk(options), decode: nothing })
    },
    grow: (drive, options) => call(session, { kind: 'grow', ...drive }, { options: disk(options), decode: nothing }),
    begin: (options) => call(session, { kind: 'begin' }, { options, decode: nothing }),
    setClock: (unixNanoseconds, options) =>
      call(session, { kind: 'clock', unixNanoseconds }, { options, decode: nothing }),
    setIdentity: async ({ hostname, machineId, entropy }, options) => {
      if (entropy.length > entropyMax) {
        throw new Problem('INVALID_REQUEST', `${entropy.length} bytes of entropy; a guest takes ${entropyMax} at most`)
      }
      await call(session, { kind: 'identity', hostname, machineId, entropy }, { options, decode: nothing })
    },
    poweroff: (options) => poweroff(session, options ?? {}),
  }
}

/** A guest that shuts down at once may be gone before its answer is through: that is what was asked for. */
async function poweroff(session: Session, options: CallOptions & { readonly graceMs?: number }): Promise<void> {
  const request = { kind: 'poweroff', graceMs: options.graceMs ?? defaultGraceMs } as const
  const channel = session.open(request)
  let isGone = false
  void session.closed.promise.then(() => {
    isGone = true
  })
  try {
    await answerOf(session, channel, { promise: channel.final.promise, options })
  } catch (error) {
    if (!isGone || !isProblem(error, 'AGENT_UNREACHABLE')) throw error
  }
}
