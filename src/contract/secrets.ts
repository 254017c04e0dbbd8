import { z } from 'zod'
import { environmentName, guestFilePath, secretsOfShed } from './limits.ts'
import { pathParameters } from './path-parameters.ts'

/** How a shed is given a secret: as a variable of what runs in it, or as a file. */
export const SecretUse = z
  .strictObject({
    secret: pathParameters.name,
    env: z.string().max(256).regex(environmentName, 'must be a name of a variable').optional(),
    /** Where the guest finds it: a link to a file in memory, mode 0400. */
    path: z
      .string()
      .max(1024)
      .regex(guestFilePath, 'must be an absolute path without . and .., and not below /proc, /sys or /dev')
      .optional(),
  })
  .refine(({ env, path }) => (env === undefined) !== (path === undefined), 'needs one of env and path')
export type SecretUse = z.infer<typeof SecretUse>

/** What a shed is given: each variable and each path once. */
export const SecretUses = z
  .array(SecretUse)
  .max(secretsOfShed)
  .refine((uses) => new Set(uses.map(({ env, path }) => path ?? env)).size === uses.length, 'two are given as the same')

/** All that is shown of a secret; its value never is. */
export const Secret = z.object({
  name: z.string(),
  created_at: z.iso.datetime(),
  changed_at: z.iso.datetime(),
  given_to: z.array(z.object({ shed: z.string(), env: z.string().optional(), path: z.string().optional() })),
})
export type Secret = z.infer<typeof Secret>

export const ListSecretsReply = z.object({ secrets: z.array(Secret) })
export const SetSecretReply = z.object({ name: z.string(), outcome: z.enum(['created', 'changed']) })
export const GiveSecretRequest = z
  .object(SecretUse.shape)
  .refine(({ env, path }) => (env === undefined) !== (path === undefined), 'needs one of env and path')
