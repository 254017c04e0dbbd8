import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type SystemHandlers = Pick<Handlers, 'getUsage' | 'explainUsage' | 'prune' | 'runDoctor' | 'fixHost' | 'setUp'>

type SystemRooms = Pick<Rooms, 'usage' | 'doctor' | 'fixHost' | 'setUp'>

export function systemRoutes({ usage, doctor, fixHost, setUp }: SystemRooms): SystemHandlers {
  return {
    getUsage: () => usage.df(),
    explainUsage: ({ query }) => usage.explain(query.name),
    prune: ({ query }) => usage.prune(query),
    runDoctor: () => doctor(),
    fixHost: ({ onProgress, signal }) => fixHost({ onProgress, signal }),
    setUp: ({ body, onProgress, signal }) => setUp(body, { onProgress, signal }),
  }
}
