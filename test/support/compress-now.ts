import { compressMemory } from '../../src/sheds/memory/compress-memory.ts'
import { memoryOfShed, memoryOfSnapshot } from '../../src/sheds/memory/kept-memory.ts'
import { holdMemory } from '../../src/sheds/snapshots/hold-memory.ts'
import { Uses } from '../../src/sheds/thermal/uses.ts'
import { Transitions } from '../../src/sheds/transitions.ts'
import type { OpenedRooms } from './open-rooms.ts'

type Rooms = Pick<OpenedRooms, 'layout'>

/** Compresses the memory of a shed that sleeps, as a daemon does for one that has slept for long; nobody else does anything with it meanwhile. */
export async function compressNow({ layout }: Rooms, name: string) {
  return await compressMemory(layout, memoryOfShed({ layout, transitions: new Transitions(60_000) }, name))
}

/** The same of a snapshot. */
export async function compressSnapshotNow(rooms: Rooms, name: string) {
  return await compressMemory(rooms.layout, memoryOfSnapshot(alone(rooms), name))
}

/** Has it as it was again, as for somebody who goes on from it. */
export async function inflateSnapshotNow(rooms: Rooms, name: string): Promise<void> {
  using _memory = await holdMemory(alone(rooms), name)
}

function alone({ layout }: Rooms) {
  return { layout, live: new Map(), snapshotTurns: new Transitions(60_000), snapshotUses: new Uses() }
}
