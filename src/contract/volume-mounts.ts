import { z } from 'zod'
import { guestMountPath } from './limits.ts'
import { pathParameters } from './path-parameters.ts'

/** A volume in a shed. */
export const VolumeMount = z.strictObject({
  volume: pathParameters.name,
  /** Where the guest sees it; made when it is not there. */
  path: z
    .string()
    .max(1024)
    .regex(guestMountPath, 'must be an absolute path without . and .., and not / or below /proc, /sys, /dev or /run'),
  read_only: z.boolean().default(false),
})
export type VolumeMount = z.infer<typeof VolumeMount>
