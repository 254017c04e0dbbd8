import { CreateTokenReply, CreateTokenRequest, ListTokensReply, TokenSummary } from '../tokens.ts'
import type { RouteTable } from './route-spec.ts'

export const tokenRoutes = {
  listTokens: {
    kind: 'json',
    summary: 'Who may talk to this server over the network',
    reply: ListTokensReply,
    local: true,
    codes: [],
  },
  createToken: {
    kind: 'json',
    summary: 'Let somebody talk to this server over the network; the answer is the only one that has the token',
    body: CreateTokenRequest,
    reply: CreateTokenReply,
    local: true,
    codes: ['TOKEN_ALREADY_EXISTS', 'NO_SPACE'],
  },
  revokeToken: {
    kind: 'json',
    summary: 'Take a token back, by its name or id; what is under way with it ends',
    reply: TokenSummary,
    local: true,
    codes: ['TOKEN_NOT_FOUND'],
  },
} as const satisfies RouteTable
