import { type Digest, isProblem } from '../../base/index.ts'
import type { ImagesContext } from '../images-context.ts'
import type { LongWork } from '../long-work.ts'

export interface BuildWithRoom<T> extends LongWork {
  readonly manifest: Digest
  /** Of its layers as they are stored. */
  readonly layerBytes: number
  readonly build: () => Promise<T>
}

/** Layers are two to three times as large when they are unpacked, and a lower may hold that once more. */
const expansion = 4

/** Builds something for an image. What finds no space is tried once more, if the cache's budget allows to evict something for it. */
export async function buildWithRoom<T>(
  { keeper }: Pick<ImagesContext, 'keeper'>,
  { manifest, layerBytes, build, ...work }: BuildWithRoom<T>,
): Promise<T> {
  try {
    return await build()
  } catch (error) {
    if (!isProblem(error, 'NO_SPACE') || keeper === undefined) throw error
    const growth = { why: 'a lower found no space', manifests: [manifest], ...work }
    if (!(await keeper.makeRoom(growth, layerBytes * expansion))) throw error
    return await build()
  }
}
