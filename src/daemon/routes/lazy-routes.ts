import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

export function lazyRoutes({ lazyImages }: Pick<Rooms, 'lazyImages'>): Pick<Handlers, 'listLazy'> {
  return { listLazy: async () => ({ images: await lazyImages() }) }
}
