import { Problem } from '../../base/index.ts'
import { runSession } from '../exec/run-session.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

export function execRoutes({ sheds }: Pick<Rooms, 'sheds'>): Pick<Handlers, 'execInShed' | 'shellInShed'> {
  return {
    execInShed: ({ params, signal }, socket) =>
      runSession({
        socket,
        signal,
        open: async (request) => {
          if (request.argv === undefined) throw new Problem('INVALID_REQUEST', 'message field argv: say what to run')
          return sheds.exec(params.name, request)
        },
      }),
    shellInShed: ({ params, signal }, socket) =>
      runSession({
        socket,
        signal,
        open: async (request) => {
          if (request.tty === undefined) throw new Problem('INVALID_REQUEST', 'message field tty: a shell needs one')
          return sheds.exec(params.name, request)
        },
      }),
  }
}
