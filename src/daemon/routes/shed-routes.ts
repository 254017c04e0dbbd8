import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type ShedHandlers = Pick<
  Handlers,
  'listSheds' | 'createShed' | 'getShed' | 'deleteShed' | 'startShed' | 'stopShed' | 'resetShed'
>

export function shedRoutes({ sheds }: Pick<Rooms, 'sheds'>): ShedHandlers {
  return {
    listSheds: async () => ({ sheds: await sheds.list() }),
    createShed: ({ body, onProgress, signal }) => sheds.create(body, { onProgress, signal }),
    getShed: ({ params }) => sheds.get(params.name),
    deleteShed: ({ params, query }) => sheds.remove(params.name, query),
    startShed: ({ params, onProgress, signal }) => sheds.start(params.name, { onProgress, signal }),
    stopShed: ({ params, body }) => sheds.stop(params.name, body),
    resetShed: ({ params, onProgress, signal }) => sheds.reset(params.name, { onProgress, signal }),
  }
}
