import { z } from 'zod'

/** Of routes that remove something. */
export const ForceQuery = z.strictObject({ force: z.stringbool().default(false) })
