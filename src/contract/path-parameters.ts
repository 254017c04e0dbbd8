import { z } from 'zod'

const name = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, 'must be 1 to 63 of a-z, 0-9 and -')

/** Parameters in paths, by name: what they must look like. */
export const pathParameters = {
  name,
  /** The name of a token, or its id. */
  token: name,
  snapshot: name,
  volume: name,
  secret: name,
  /** Its id. */
  backup: z.string().regex(/^\d{8}t\d{6}-[0-9a-f]{8}$/, 'must be the id of a backup'),
  host_port: z.coerce.number().int().min(1).max(65535),
} as const
