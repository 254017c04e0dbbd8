import { constants } from 'node:fs'
import { posix } from 'node:path'
import type { GuestFile } from '../../contract/index.ts'
import type { GuestStat } from '../../formats/index.ts'
import type { AgentUse } from '../../sheds/index.ts'
import type { AgentConnection } from '../../wires/index.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type FileHandlers = Pick<
  Handlers,
  'readGuestFile' | 'statGuestFile' | 'listGuestDirectory' | 'writeGuestFile' | 'makeGuestFile' | 'removeGuestFile'
>

export function fileRoutes({ sheds }: Pick<Rooms, 'sheds'>): FileHandlers {
  return {
    async readGuestFile({ params, query: { path } }) {
      const use = await sheds.useAgent(params.name)
      // The first bytes are waited for, so that what cannot be read is refused while there is still a status to refuse it with. No size is
      // promised: a file of /proc says 0, a log grows.
      return { source: await started(use, use.agent.readFile(path)) }
    },
    async statGuestFile({ params, query: { path, follow } }) {
      using use = await sheds.useAgent(params.name)
      return await describe(use.agent, path, await use.agent.stat(path, { follow }))
    },
    async listGuestDirectory({ params, query: { path } }) {
      using use = await sheds.useAgent(params.name)
      const entries = await use.agent.list(path)
      return { entries: entries.map(({ name, stat }) => guestFile(posix.join(path, name.toString('utf8')), stat)) }
    },
    async writeGuestFile({ params, query: { path, mode, mtime_ms, uid, gid }, upload }) {
      using use = await sheds.useAgent(params.name)
      await use.agent.writeFile(path, upload ?? Buffer.alloc(0), {
        mode,
        ...(mtime_ms === undefined ? {} : { mtimeMs: mtime_ms }),
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      })
    },
    async makeGuestFile({ params, body }) {
      using use = await sheds.useAgent(params.name)
      if (body.type === 'directory') await use.agent.makeDirectory(body.path, { mode: body.mode })
      else await use.agent.symlink(body.target, body.path)
    },
    async removeGuestFile({ params, query: { path, recursive } }) {
      using use = await sheds.useAgent(params.name)
      await use.agent.remove(path, { recursive })
    },
  }
}

async function describe(agent: AgentConnection, path: string, stat: GuestStat): Promise<GuestFile> {
  const file = guestFile(path, stat)
  return file.type === 'symlink' ? { ...file, target: (await agent.readlink(path)).toString('utf8') } : file
}

function guestFile(path: string, { mode, uid, gid, size, mtimeNs }: GuestStat): GuestFile {
  return {
    path,
    type: typeOf(mode),
    mode: mode & 0o7777,
    uid,
    gid,
    size_bytes: size,
    // Microseconds are as fine as a double can say of these years.
    mtime_ms: Number(mtimeNs / 1000n) / 1000,
  }
}

const types = new Map<number, GuestFile['type']>([
  [constants.S_IFDIR, 'directory'],
  [constants.S_IFLNK, 'symlink'],
  [constants.S_IFCHR, 'character'],
  [constants.S_IFBLK, 'block'],
  [constants.S_IFIFO, 'fifo'],
  [constants.S_IFSOCK, 'socket'],
])

function typeOf(mode: number): GuestFile['type'] {
  return types.get(mode & constants.S_IFMT) ?? 'file'
}

/** The same bytes, once the first of them are there. The shed is in use until the last of them are, or nobody wants them any more. */
async function started(use: AgentUse, source: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const iterator = source[Symbol.asyncIterator]()
  const read = async () => {
    const result = await iterator.next().catch((error: unknown) => {
      use[Symbol.dispose]()
      throw error
    })
    if (result.done === true) use[Symbol.dispose]()
    return result
  }
  let first: IteratorResult<Buffer> | undefined = await read()
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const result = first ?? (await read())
        first = undefined
        return result
      },
      async return() {
        use[Symbol.dispose]()
        return (await iterator.return?.()) ?? { done: true, value: undefined }
      },
    }),
  }
}
