import { stat } from 'node:fs/promises'
import { errnoCode } from '../../base/index.ts'
import type { LazyImage } from '../../contract/index.ts'
import { type LazyUse, lazyUses } from '../../lazy/index.ts'
import type { Handlers } from '../http/handlers.ts'
import type { Rooms } from '../rooms.ts'

export function lazyRoutes({ layout }: Pick<Rooms, 'layout'>): Pick<Handlers, 'listLazy'> {
  return {
    listLazy: async () => ({ images: await Promise.all((await lazyUses(layout)).map(describe)) }),
  }

  async function describe({ chunkIndex, source, isOpen }: LazyUse): Promise<LazyImage> {
    const { data, record } = layout.lazyLower(chunkIndex)
    const [held, noted] = await Promise.all([statusOf(data), statusOf(record)])
    const lastUsed = Math.max(held?.mtimeMs ?? 0, noted?.mtimeMs ?? 0)
    return {
      status: isOpen ? 'served' : source === undefined ? 'broken' : 'idle',
      chunk_index_digest: chunkIndex,
      ...(source && {
        reference: source.reference,
        manifest_digest: source.manifest_digest,
        profile: source.profile,
        bytes: source.lower_bytes,
      }),
      physical_bytes: (held?.blocks ?? 0) * 512,
      ...(lastUsed > 0 && { last_used_at: new Date(lastUsed).toISOString() }),
    }
  }
}

/** Undefined for what is not there: a prune may be at it. */
async function statusOf(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined
    throw error
  }
}
