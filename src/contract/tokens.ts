import { z } from 'zod'
import { pathParameters } from './path-parameters.ts'

export const CreateTokenRequest = z.strictObject({
  /** For whom or what it is; left out, it is called after its id. */
  name: pathParameters.name.optional(),
  /** Whether it may only look: every GET, but no exec and no shell. */
  read_only: z.boolean().default(false),
})
export type CreateTokenRequest = z.input<typeof CreateTokenRequest>

/** All that a server knows of a token; the token itself it does not keep. */
export const TokenSummary = z.object({
  id: z.string(),
  name: z.string(),
  read_only: z.boolean(),
  created_at: z.iso.datetime(),
  /** To the minute; absent when it has not been used. */
  last_used_at: z.iso.datetime().optional(),
})
export type TokenSummary = z.infer<typeof TokenSummary>

/** The only time that the token itself is told. */
export const CreateTokenReply = TokenSummary.extend({ token: z.string() })
export type CreateTokenReply = z.infer<typeof CreateTokenReply>

export const ListTokensReply = z.object({ tokens: z.array(TokenSummary) })
export type ListTokensReply = z.infer<typeof ListTokensReply>
