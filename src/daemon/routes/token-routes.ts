import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

type TokenHandlers = Pick<Handlers, 'listTokens' | 'createToken' | 'revokeToken'>

export function tokenRoutes({ tokens, events }: Pick<Rooms, 'tokens' | 'events'>): TokenHandlers {
  return {
    listTokens: async () => ({ tokens: tokens.list() }),
    async createToken({ body }) {
      const made = await tokens.create({ name: body.name, readOnly: body.read_only })
      events.append({ type: 'token.created', subject: made.name, message: `token ${made.name} created` })
      return made
    },
    async revokeToken({ params }) {
      const revoked = await tokens.revoke(params.token)
      events.append({ type: 'token.revoked', subject: revoked.name, message: `token ${revoked.name} revoked` })
      return revoked
    },
  }
}
