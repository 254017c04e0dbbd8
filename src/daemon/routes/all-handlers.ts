import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'
import { backupRoutes } from './backup-routes.ts'
import { eventRoutes } from './event-routes.ts'
import { execRoutes } from './exec-routes.ts'
import { fileRoutes } from './file-routes.ts'
import { forwardRoutes } from './forward-routes.ts'
import { imageRoutes } from './image-routes.ts'
import { lazyRoutes } from './lazy-routes.ts'
import { logRoutes } from './log-routes.ts'
import { metricsRoutes } from './metrics-routes.ts'
import { secretRoutes } from './secret-routes.ts'
import { type ServerRoutes, serverRoutes } from './server-routes.ts'
import { shedRoutes } from './shed-routes.ts'
import { snapshotRoutes } from './snapshot-routes.ts'
import { systemRoutes } from './system-routes.ts'
import { tokenRoutes } from './token-routes.ts'
import { volumeRoutes } from './volume-routes.ts'

/** What every route does. One that is missing here does not compile. */
export function allHandlers(rooms: Rooms, { network }: Pick<ServerRoutes, 'network'>): Handlers {
  return {
    ...serverRoutes({ info: rooms.info, hostUse: rooms.hostUse, network }),
    ...shedRoutes(rooms),
    ...execRoutes(rooms),
    ...logRoutes(rooms),
    ...fileRoutes(rooms),
    ...forwardRoutes(rooms),
    ...snapshotRoutes(rooms),
    ...volumeRoutes(rooms),
    ...secretRoutes(rooms),
    ...backupRoutes(rooms),
    ...imageRoutes(rooms),
    ...lazyRoutes(rooms),
    ...metricsRoutes(rooms),
    ...systemRoutes(rooms),
    ...tokenRoutes(rooms),
    ...eventRoutes(rooms),
  }
}
