import { type DataLayout, isProblem } from '../base/index.ts'
import { type Cloned, cloneFile } from '../host/index.ts'
import { ensureUpperTemplate } from './upper-template.ts'

export interface CreateUpper {
  /** Apparent size; what is not a multiple of 4096 is rounded up to one. */
  readonly bytes: number
  /** Where it is to be; nothing must be there. */
  readonly to: string
}

/**
 * Makes the empty writable disk of a shed: a clone of the template of that size, which is made first when it is absent. It is not durable yet:
 * `to` belongs in staging, and what installs it syncs it.
 *
 * @throws Problem INVALID_REQUEST for an impossible size, FILE_EXISTS, NO_SPACE, TOOL_NOT_FOUND, IO_FAILED; there is nothing new at `to` then
 */
export async function createUpper(layout: DataLayout, { bytes, to }: CreateUpper): Promise<Cloned> {
  try {
    return await cloneFile(await ensureUpperTemplate(layout, bytes), to)
  } catch (error) {
    if (!isProblem(error, 'FILE_NOT_FOUND')) throw error
    // A prune may have taken the template between the two. When it is the directory of `to` that is missing, this fails in the same way.
    return await cloneFile(await ensureUpperTemplate(layout, bytes), to)
  }
}
