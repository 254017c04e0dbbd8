import { compressMemory } from '../../src/sheds/memory/compress-memory.ts'
import { Transitions } from '../../src/sheds/transitions.ts'
import type { OpenedRooms } from './open-rooms.ts'

/** Compresses the memory of a shed that sleeps, as a daemon does for one that has slept for long; nobody else does anything with it meanwhile. */
export async function compressNow({ layout }: Pick<OpenedRooms, 'layout'>, name: string) {
  return await compressMemory({ layout, transitions: new Transitions(60_000) }, name)
}
