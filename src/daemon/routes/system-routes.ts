import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type SystemHandlers = Pick<Handlers, 'getUsage' | 'prune' | 'runDoctor' | 'setUp'>

export function systemRoutes({ usage, doctor, setUp }: Pick<Rooms, 'usage' | 'doctor' | 'setUp'>): SystemHandlers {
  return {
    getUsage: () => usage.df(),
    prune: ({ query }) => usage.prune(query),
    runDoctor: () => doctor(),
    setUp: ({ body, onProgress, signal }) => setUp(body, { onProgress, signal }),
  }
}
