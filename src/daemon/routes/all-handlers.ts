import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'
import { eventRoutes } from './event-routes.ts'
import { execRoutes } from './exec-routes.ts'
import { fileRoutes } from './file-routes.ts'
import { forwardRoutes } from './forward-routes.ts'
import { imageRoutes } from './image-routes.ts'
import { logRoutes } from './log-routes.ts'
import { serverRoutes } from './server-routes.ts'
import { shedRoutes } from './shed-routes.ts'
import { systemRoutes } from './system-routes.ts'

/** What every route does. One that is missing here does not compile. */
export function allHandlers(rooms: Rooms): Handlers {
  return {
    ...serverRoutes(rooms),
    ...shedRoutes(rooms),
    ...execRoutes(rooms),
    ...logRoutes(rooms),
    ...fileRoutes(rooms),
    ...forwardRoutes(rooms),
    ...imageRoutes(rooms),
    ...systemRoutes(rooms),
    ...eventRoutes(rooms),
  }
}
