import type { ShedsContext } from '../context.ts'
import type { Transitions } from '../transitions.ts'
import type { MemoryFiles } from './stored-memory.ts'

/** A memory that is kept, and need not be as it was as long as nobody uses it. */
export interface KeptMemory {
  readonly of: 'shed' | 'snapshot'
  readonly name: string
  readonly files: MemoryFiles
  /** Whoever begins to use it, or changes what is there, does so in a turn of its name. */
  readonly turns: Transitions
  /** Asked in such a turn: whether somebody uses mem.snap as it is. */
  readonly isUsed: () => boolean
}

/** Whoever wakes a shed has its turn until nothing of the memory is needed any more. */
export function memoryOfShed({ layout, transitions }: Pick<ShedsContext, 'layout' | 'transitions'>, name: string) {
  return { of: 'shed', name, files: layout.shed(name), turns: transitions, isUsed: () => false } satisfies KeptMemory
}

/** What a VM has mapped would only be there twice: its space comes back when that ends. */
export function memoryOfSnapshot(
  {
    layout,
    live,
    snapshotTurns,
    snapshotUses,
  }: Pick<ShedsContext, 'layout' | 'live' | 'snapshotTurns' | 'snapshotUses'>,
  name: string,
): KeptMemory {
  const files = layout.snapshot(name)
  const isMapped = () =>
    [...live.values()].some(({ exit, machine }) => exit === undefined && machine.record.memory?.path === files.memSnap)
  const isUsed = () => snapshotUses.idle(name) === undefined || isMapped()
  return { of: 'snapshot', name, files, turns: snapshotTurns, isUsed }
}
