import type { Handlers } from '../http/handlers.ts'
import { followFile } from '../logs/follow-file.ts'
import { tailStart } from '../logs/tail-start.ts'
import type { Rooms } from '../rooms.ts'

export function logRoutes({ sheds }: Pick<Rooms, 'sheds'>): Pick<Handlers, 'readLogs'> {
  return {
    async readLogs({ params, query: { follow, tail }, signal }) {
      const path = await sheds.consolePath(params.name)
      const from = tail === undefined ? 0 : await tailStart(path, tail)
      return { source: followFile(path, { from, follow, signal }) }
    },
  }
}
