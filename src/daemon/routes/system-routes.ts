import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type SystemHandlers = Pick<
  Handlers,
  | 'getUsage'
  | 'explainUsage'
  | 'usageGrowth'
  | 'planPrune'
  | 'prune'
  | 'dedupe'
  | 'trim'
  | 'runDoctor'
  | 'fixHost'
  | 'setUp'
>

type SystemRooms = Pick<Rooms, 'usage' | 'doctor' | 'fixHost' | 'setUp'>

export function systemRoutes({ usage, doctor, fixHost, setUp }: SystemRooms): SystemHandlers {
  return {
    getUsage: () => usage.df(),
    explainUsage: ({ query }) => usage.explain(query.name),
    usageGrowth: ({ query }) => usage.growth(query.since),
    planPrune: ({ query }) => usage.prune(query),
    prune: ({ query }) => usage.prune(query),
    trim: ({ body, onProgress, signal }) => usage.trim(body, { onProgress, signal }),
    dedupe: ({ body, onProgress, signal }) => usage.dedupe(body, { onProgress, signal }),
    runDoctor: () => doctor(),
    fixHost: ({ onProgress, signal }) => fixHost({ onProgress, signal }),
    setUp: ({ body, onProgress, signal }) => setUp(body, { onProgress, signal }),
  }
}
