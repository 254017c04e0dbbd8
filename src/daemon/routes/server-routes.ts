import { openApi, type ServerInfo } from '../../contract/index.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

export interface ServerRoutes {
  readonly info: Rooms['info']
  readonly hostUse: Rooms['hostUse']
  /** As it is at the time. */
  readonly network: () => ServerInfo['network']
}

export function serverRoutes({ info, hostUse, network }: ServerRoutes): Pick<Handlers, 'getInfo' | 'getOpenApi'> {
  return {
    getInfo: async () => {
      const reached = network()
      return { ...info, limits: await hostUse(), ...(reached === undefined ? {} : { network: reached }) }
    },
    getOpenApi: async () => openApi(info.version),
  }
}
