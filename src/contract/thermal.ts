import { z } from 'zod'
import { shortestIdleMs } from './limits.ts'

/** How long nobody has used a shed, in milliseconds, until something happens to it. */
export const IdleTime = z.union([z.int().min(shortestIdleMs), z.literal('never')])
export type IdleTime = z.infer<typeof IdleTime>

/** What becomes of a shed that nobody uses. */
export const ThermalSettings = z.object({
  /** Its vCPUs are paused. */
  warm_after_ms: IdleTime,
  /** Its memory is put on the disk, and its VM ends. */
  cold_after_ms: IdleTime,
  /** Nothing, whatever the other two say. */
  keep_hot: z.boolean(),
})
export type ThermalSettings = z.infer<typeof ThermalSettings>

/** What is said of one shed; for what is left out, config.toml speaks. */
export const OwnThermalSettings = z.strictObject(ThermalSettings.partial().shape)
export type OwnThermalSettings = z.infer<typeof OwnThermalSettings>

/** What is left out stays as it is; null is: as config.toml says, from now on. */
export const SetThermalRequest = z
  .strictObject({
    warm_after_ms: IdleTime.nullable().optional(),
    cold_after_ms: IdleTime.nullable().optional(),
    keep_hot: z.boolean().optional(),
  })
  .refine((request) => Object.keys(request).length > 0, { message: 'it says nothing that is to change' })
export type SetThermalRequest = z.infer<typeof SetThermalRequest>
