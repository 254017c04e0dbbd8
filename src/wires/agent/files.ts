import { Problem } from '../../base/index.ts'
import {
  agentStreams,
  DirectoryEntries,
  decodeLinkTarget,
  decodeStatReply,
  type GuestEntry,
} from '../../formats/index.ts'
import type { AgentConnection, CallOptions, GuestPath, WriteOptions } from './agent-connection.ts'
import { answerOf, call, nothing, pathBytes, strictly } from './call.ts'
import type { GuestChannel } from './guest-channel.ts'
import type { Session } from './session.ts'

type Files = Pick<
  AgentConnection,
  'stat' | 'list' | 'readFile' | 'writeFile' | 'makeDirectory' | 'remove' | 'symlink' | 'readlink'
>

/** The files of a guest. */
export function files(session: Session): Files {
  return {
    stat: async (path, options) => {
      const request = { kind: 'stat', path: pathBytes(path), follow: options?.follow ?? false } as const
      return await call(session, request, { options, decode: decodeStatReply })
    },
    list: (path, options) => list(session, path, options),
    readFile: (path, options) => readFile(session, path, options ?? {}),
    writeFile: (path, source, options) => writeFile(session, { path, source, options }),
    makeDirectory: async (path, options) => {
      const { mode = 0o755, parents = false } = options ?? {}
      await call(session, { kind: 'mkdir', path: pathBytes(path), mode, parents }, { options, decode: nothing })
    },
    remove: async (path, options) => {
      const { recursive = false } = options ?? {}
      await call(session, { kind: 'remove', path: pathBytes(path), recursive }, { options, decode: nothing })
    },
    symlink: async (target, path, options) => {
      const request = { kind: 'symlink', target: pathBytes(target), path: pathBytes(path) } as const
      await call(session, request, { options, decode: nothing })
    },
    readlink: async (path, options) =>
      await call(session, { kind: 'readlink', path: pathBytes(path) }, { options, decode: decodeLinkTarget }),
  }
}

async function list(session: Session, path: GuestPath, options: CallOptions | undefined): Promise<GuestEntry[]> {
  const channel = session.open({ kind: 'list', path: pathBytes(path) })
  await answerOf(session, channel, { promise: channel.started.promise, options })
  const entries = new DirectoryEntries()
  for await (const chunk of outputOf(session, channel, options)) strictly(session, () => entries.push(chunk))
  strictly(session, () => entries.end())
  return entries.entries
}

async function* readFile(
  session: Session,
  path: GuestPath,
  options: CallOptions & { offset?: number; length?: number },
): AsyncGenerator<Buffer> {
  const { offset = 0, length: limit } = options
  const channel = session.open({ kind: 'read', path: pathBytes(path), offset, limit })
  await answerOf(session, channel, { promise: channel.started.promise, options })
  yield* outputOf(session, channel, options)
}

/** All of a channel's output, up to the guest's word that it was all. Silence while it is waited for ends it. */
async function* outputOf(
  session: Session,
  channel: GuestChannel,
  options: CallOptions | undefined,
): AsyncGenerator<Buffer> {
  const chunks = channel.output(agentStreams.stdout)[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await answerOf(session, channel, { promise: chunks.next(), options })
      if (next.done === true) break
      yield next.value
    }
  } finally {
    // Does not wait for the iterator, which may be waiting for the guest itself.
    channel.output(agentStreams.stdout).stop()
  }
  await answerOf(session, channel, { promise: channel.final.promise, options })
}

async function writeFile(session: Session, { path, source, options }: WriteCall): Promise<void> {
  const { mode, uid, gid, mtimeMs } = options
  const channel = session.open({
    kind: 'write',
    path: pathBytes(path),
    mode,
    owner: uid === undefined && gid === undefined ? undefined : { uid: uid ?? 0, gid: gid ?? 0 },
    mtimeNs: mtimeMs === undefined ? undefined : BigInt(Math.round(mtimeMs * 1000)) * 1000n,
  })
  await answerOf(session, channel, { promise: channel.started.promise, options })
  await sendAll(session, channel, { path, source, options })
  session.send(channel, { kind: 'inputEnd' })
  await answerOf(session, channel, { promise: channel.final.promise, options })
}

interface WriteCall {
  readonly path: GuestPath
  readonly source: AsyncIterable<Buffer> | Buffer
  readonly options: WriteOptions
}

/** A source that fails takes the file back; a guest that fails (no space) stops the source. */
async function sendAll(session: Session, channel: GuestChannel, { source, options }: WriteCall): Promise<void> {
  try {
    for await (const chunk of Buffer.isBuffer(source) ? [source] : source) {
      await answerOf(session, channel, { promise: session.sendInput(channel, chunk), options })
      if (channel.isOver) return
    }
  } catch (error) {
    session.cancel(channel, new Problem('CANCELLED', 'what was to be written to the guest could not be read'))
    throw error
  }
}
