import { posix } from 'node:path'
import type { GuestFile } from '../../contract/index.ts'
import type { AgentFile } from '../../wires/index.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type FileHandlers = Pick<
  Handlers,
  'readGuestFile' | 'statGuestFile' | 'listGuestDirectory' | 'writeGuestFile' | 'makeGuestFile' | 'removeGuestFile'
>

export function fileRoutes({ sheds }: Pick<Rooms, 'sheds'>): FileHandlers {
  return {
    async readGuestFile({ params, query: { path } }) {
      const agent = await sheds.agent(params.name)
      // Asked first, so that what cannot be read is refused while there is still a status to refuse it with. Its size is no promise: a file
      // of /proc says 0, a log grows.
      await agent.stat(path)
      return { source: agent.readFile(path) }
    },
    async statGuestFile({ params, query: { path } }) {
      const agent = await sheds.agent(params.name)
      return guestFile(path, await agent.stat(path))
    },
    async listGuestDirectory({ params, query: { path } }) {
      const agent = await sheds.agent(params.name)
      const entries = await agent.list(path)
      return { entries: entries.map((entry) => guestFile(posix.join(path, entry.name), entry)) }
    },
    async writeGuestFile({ params, query: { path, mode, mtime_ms, uid, gid }, upload }) {
      const agent = await sheds.agent(params.name)
      await agent.writeFile(path, upload ?? [], {
        mode,
        ...(mtime_ms === undefined ? {} : { mtimeMs: mtime_ms }),
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      })
    },
    async makeGuestFile({ params, body }) {
      const agent = await sheds.agent(params.name)
      if (body.type === 'directory') await agent.makeDirectory(body.path, { mode: body.mode })
      else await agent.symlink(body.target, body.path)
    },
    async removeGuestFile({ params, query: { path, recursive } }) {
      const agent = await sheds.agent(params.name)
      await agent.remove(path, { recursive })
    },
  }
}

function guestFile(path: string, { type, mode, uid, gid, size, mtimeMs, target }: AgentFile): GuestFile {
  return {
    path,
    type,
    mode,
    uid,
    gid,
    size_bytes: size,
    mtime_ms: mtimeMs,
    ...(target === undefined ? {} : { target }),
  }
}
