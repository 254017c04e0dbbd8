import { mountFuse } from '../../host/index.ts'
import type { BlockSource } from '../nbd/index.ts'
import { fuseSubtype, prepareFusePath } from './fuse-path.ts'
import { FuseSession } from './fuse-session.ts'

export interface FuseServerCounters {
  /** Those who have the file open. */
  readonly clients: number
  /** All that ever had. */
  readonly connections: number
  /** What the kernel has asked for: it asks once for what it then keeps, and not at all where it reads the file itself. */
  readonly reads: number
  readonly readBytes: number
  /** Reads that were answered with an error. */
  readonly errors: number
}

export interface FuseServer {
  /** Where the file is, without links. */
  readonly path: string
  /** Resolves when it is not mounted any more, whoever unmounted it. */
  readonly ended: Promise<void>
  counters(): FuseServerCounters
  /** Unmounts it. @returns whether somebody had it open, who can read it no more */
  close(): Promise<boolean>
}

/**
 * Serves bytes as one read-only file, at a path where nothing is or an empty file, whose owner and permissions it has. This process must never read it while it waits.
 *
 * @throws Problem as prepareFusePath and mountFuse do
 */
export async function serveFuse(source: BlockSource, path: string): Promise<FuseServer> {
  const place = await prepareFusePath(path)
  const mount = await orRemove(place, () => mountFuse({ path: place.path, source: fuseSubtype, subtype: fuseSubtype }))
  const attributes = {
    ...{ ...place, bytes: source.bytes, storedBytes: storedBytes(source) },
    modifiedSeconds: Math.floor(Date.now() / 1000),
  }
  const session = new FuseSession({ mount, source, attributes })
  let closing: Promise<boolean> | undefined
  const ended = session.run().finally(() => mount.close())
  const close = async () => {
    const wasOpen = await mount.unmount()
    await ended
    await place.remove()
    return wasOpen
  }
  return {
    ...{ path: place.path, ended },
    counters: () => ({ clients: session.clients, connections: session.connections, ...session.counters }),
    close: () => (closing ??= close()),
  }
}

/** All but what is known to be zeros. */
function storedBytes(source: BlockSource): number {
  const { bytes } = source
  let stored = 0
  for (let at = 0; at < bytes; ) {
    const { length, isZero } = source.runAt(at, bytes - at)
    if (!isZero) stored += length
    at += length
  }
  return stored
}

async function orRemove<T>({ remove }: { remove(): Promise<void> }, work: () => T): Promise<T> {
  try {
    return work()
  } catch (error) {
    await remove()
    throw error
  }
}
