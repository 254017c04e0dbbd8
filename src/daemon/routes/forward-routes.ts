import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type ForwardHandlers = Pick<Handlers, 'listForwards' | 'addForward' | 'removeForward'>

export function forwardRoutes({ sheds }: Pick<Rooms, 'sheds'>): ForwardHandlers {
  return {
    listForwards: async ({ params }) => ({ forwards: (await sheds.get(params.name)).forwards }),
    addForward: ({ params, body }) => sheds.addForward(params.name, body),
    removeForward: ({ params }) => sheds.removeForward(params.name, params.host_port),
  }
}
