import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type ShedHandlers = Pick<
  Handlers,
  | 'listSheds'
  | 'createShed'
  | 'getShed'
  | 'deleteShed'
  | 'startShed'
  | 'stopShed'
  | 'pauseShed'
  | 'wakeShed'
  | 'forkShed'
  | 'resetShed'
  | 'protectShed'
  | 'unprotectShed'
  | 'setShed'
  | 'setShedLimits'
>

export function shedRoutes({ sheds }: Pick<Rooms, 'sheds'>): ShedHandlers {
  return {
    listSheds: async () => ({ sheds: await sheds.list() }),
    createShed: ({ body, onProgress, signal }) => sheds.create(body, { onProgress, signal }),
    getShed: ({ params }) => sheds.get(params.name),
    deleteShed: ({ params, query }) => sheds.remove(params.name, query),
    startShed: ({ params, body, onProgress, signal }) =>
      sheds.start(params.name, { coldBoot: body.cold_boot, onProgress, signal }),
    stopShed: ({ params, body }) => sheds.stop(params.name, body),
    pauseShed: ({ params }) => sheds.pause(params.name),
    wakeShed: ({ params, onProgress, signal }) => sheds.wake(params.name, { onProgress, signal }),
    forkShed: ({ params, body, onProgress, signal }) => sheds.fork(params.name, body, { onProgress, signal }),
    protectShed: ({ params }) => sheds.protect(params.name, true),
    unprotectShed: ({ params }) => sheds.protect(params.name, false),
    setShed: ({ params, body }) => sheds.set(params.name, body),
    setShedLimits: ({ params, body }) => sheds.setLimits(params.name, body),
    resetShed: ({ params, onProgress, signal }) => sheds.reset(params.name, { onProgress, signal }),
  }
}
