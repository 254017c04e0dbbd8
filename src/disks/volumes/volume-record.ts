import { z } from 'zod'
import { Problem } from '../../base/index.ts'

/** volume.json: the truth about a volume. How large it is says its disk; which sheds have it, the records of those. */
export const VolumeRecord = z.object({
  version: z.literal(1),
  name: z.string(),
  /** Guests find its drive by it. */
  id: z.string().regex(/^[0-9a-f]{12}$/),
  created_at: z.iso.datetime(),
})
export type VolumeRecord = z.infer<typeof VolumeRecord>

export function volumeNotFound(name: string): Problem {
  return new Problem('VOLUME_NOT_FOUND', `there is no volume ${name}`, { hint: 'list them: cowshed volume ls' })
}

export function volumeExists(name: string, cause?: unknown): Problem {
  return new Problem('VOLUME_ALREADY_EXISTS', `there is a volume ${name} already`, {
    hint: `choose another name, or remove it first: cowshed volume rm ${name}`,
    cause,
  })
}
