import { parseDigest } from '../base/index.ts'
import { isLocked } from '../host/index.ts'
import type { ImageUser } from '../images/index.ts'
import type { ShedsContext } from './context.ts'
import { loadAllSheds } from './load-shed.ts'

/**
 * Which manifests sheds are pinned to, and which sheds have a VM. That is for the VMM's lock to say, and not for records: a VM may have died, or
 * outlived what its record says. In the middle of a transition it may come any moment.
 *
 * @throws Problem RECORD_INVALID for a shed that cannot be read: it may need any image
 */
export async function listImageUsers(context: ShedsContext): Promise<ImageUser[]> {
  const all = await loadAllSheds(context)
  return await Promise.all(
    all.map(async ({ name, record, problem }) => {
      if (problem !== undefined) throw problem
      // A root filesystem of its own is all that a shed has open.
      const isRunning =
        record.rootfs === 'erofs' &&
        (context.transitions.isBusy(name) || (await isLocked(context.layout.shed(name).vmmLock)))
      return { name, manifestDigest: parseDigest(record.image.manifest_digest), isRunning }
    }),
  )
}
