import { rm } from 'node:fs/promises'
import { type DataLayout, problemFromSystem } from '../../base/index.ts'
import { fileStatus, installFile, openStaging } from '../../host/index.ts'
import type { KeptMemory } from './kept-memory.ts'
import { makeHole } from './make-hole.ts'
import { loadMemory, readRam, type StoredMemory } from './stored-memory.ts'

/**
 * Has the RAM of a memory in its place again as it was, if it was compressed, inside its turn. Wherever it is cut off there is what was compressed, or the same
 * inflated, or both; then mem.snap counts, which is durable before the other goes.
 *
 * @throws Problem MEMORY_DAMAGED, NO_SPACE, IO_FAILED; the memory is then as it was
 */
export async function inflateMemory(
  layout: DataLayout,
  { name, files }: Pick<KeptMemory, 'name' | 'files'>,
): Promise<void> {
  const { memSnap, memSnapZst } = files
  if ((await fileStatus(memSnap)) !== undefined) return
  const memory = await loadMemory(files)
  await using staging = await openStaging(layout, `inflate-${name}`)
  const inflated = `${staging.path}/inflated`
  await writeRam(memory, inflated)
  await installFile({ from: inflated, to: memSnap })
  try {
    await rm(memSnapZst)
  } catch (error) {
    throw problemFromSystem(error, `remove ${memSnapZst}`)
  }
}

/** Writes RAM to a file of its own that is not there yet, as it was. It is not durable yet. @throws Problem MEMORY_DAMAGED, NO_SPACE, IO_FAILED */
export async function writeRam(memory: StoredMemory, to: string): Promise<void> {
  await makeHole(to, memory.record.ram.bytes)
  await readRam(memory, to)
}
