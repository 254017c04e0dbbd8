import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type SecretHandlers = Pick<Handlers, 'listSecrets' | 'setSecret' | 'removeSecret' | 'giveSecret' | 'takeSecret'>

export function secretRoutes({ sheds }: Pick<Rooms, 'sheds'>): SecretHandlers {
  const { secrets } = sheds
  return {
    listSecrets: async () => ({ secrets: await secrets.list() }),
    setSecret: async ({ params: { secret: name }, upload }) => ({
      name,
      outcome: await secrets.set(name, upload ?? nothing()),
    }),
    removeSecret: ({ params, query }) => secrets.remove(params.secret, query),
    giveSecret: ({ params, body }) => sheds.giveSecret(params.name, body),
    takeSecret: ({ params }) => sheds.takeSecret(params.name, params.secret),
  }
}

async function* nothing(): AsyncIterable<Buffer> {}
