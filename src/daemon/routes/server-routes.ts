import { openApi } from '../../contract/index.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

export function serverRoutes({ info }: Pick<Rooms, 'info'>): Pick<Handlers, 'getInfo' | 'getOpenApi'> {
  return {
    getInfo: async () => info,
    getOpenApi: async () => openApi(info.version),
  }
}
