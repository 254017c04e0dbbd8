import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

export function eventRoutes({ events }: Pick<Rooms, 'events'>): Pick<Handlers, 'readEvents'> {
  return {
    readEvents: async ({ query: { after, limit } }) => ({
      past: () => events.read({ limit, ...(after === undefined ? {} : { after }) }),
      subscribe: events.subscribe,
    }),
  }
}
