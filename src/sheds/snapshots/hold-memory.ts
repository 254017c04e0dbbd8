import type { ShedsContext } from '../context.ts'
import { inflateMemory } from '../memory/inflate-memory.ts'
import { loadMemory, readRam, type StoredMemory } from '../memory/stored-memory.ts'

/** Its RAM is a file that can be mapped, and stays that until it is disposed of. */
export interface HeldMemory extends StoredMemory, Disposable {}

/**
 * The memory of a snapshot, for who goes on from it. One that is compressed is inflated first, however many come at once; all of it has been read then, and is
 * what was written.
 *
 * @throws Problem MEMORY_DAMAGED, NO_SPACE, SNAPSHOT_BUSY
 */
export async function holdMemory(
  { layout, snapshotTurns, snapshotUses }: Pick<ShedsContext, 'layout' | 'snapshotTurns' | 'snapshotUses'>,
  name: string,
): Promise<HeldMemory> {
  const files = layout.snapshot(name)
  const use = await snapshotTurns.run(name, async () => {
    await inflateMemory(layout, { name, files })
    return snapshotUses.begin(name)
  })
  try {
    const memory = await loadMemory(files)
    await readRam(memory)
    return { ...memory, [Symbol.dispose]: () => use[Symbol.dispose]() }
  } catch (error) {
    use[Symbol.dispose]()
    throw error
  }
}
