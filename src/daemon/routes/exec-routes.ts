import type { WebSocket } from 'ws'
import { Problem } from '../../base/index.ts'
import type { ExecRequest } from '../../contract/index.ts'
import { runSession } from '../exec/run-session.ts'
import type { Call, Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type ExecHandlers = Pick<Handlers, 'execInShed' | 'shellInShed'>

export function execRoutes({ sheds }: Pick<Rooms, 'sheds'>): ExecHandlers {
  const session =
    (check: (request: ExecRequest) => void) =>
    ({ params, signal }: Pick<Call<'execInShed'>, 'params' | 'signal'>, socket: WebSocket) =>
      runSession({
        socket,
        signal,
        open: async (request) => {
          check(request)
          return sheds.exec(params.name, request)
        },
      })
  return { execInShed: session(saysWhatToRun), shellInShed: session(hasTerminal) }
}

function saysWhatToRun({ argv }: ExecRequest): void {
  if (argv === undefined) throw new Problem('INVALID_REQUEST', 'message field argv: say what to run')
}

function hasTerminal({ tty }: ExecRequest): void {
  if (tty === undefined) throw new Problem('INVALID_REQUEST', 'message field tty: a shell needs one')
}
