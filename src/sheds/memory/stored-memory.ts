import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { isProblem, memoryIn, Problem } from '../../base/index.ts'
import { copyWithoutZeros, fileStatus, removeDirectory } from '../../host/index.ts'
import { readRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { MemoryRecord } from './memory-record.ts'

/** A memory that is on disk, all three files of it. */
export interface StoredMemory {
  readonly record: MemoryRecord
  /** Paths of mem.snap and vm.snap. */
  readonly ram: string
  readonly state: string
  /** What it takes on disk: st_blocks × 512. */
  readonly physicalBytes: number
}

/**
 * The memory in a directory. Its record can be read and its files have their sizes; the content of vm.snap is checked, that of mem.snap, which is
 * large, when it is read.
 *
 * @throws Problem MEMORY_DAMAGED
 */
export async function loadMemory(dir: string): Promise<StoredMemory> {
  const { memoryRecord, memSnap: ram, vmSnap: state } = memoryIn(dir)
  const record = await readRecord(memoryRecord, MemoryRecord).catch((error: unknown) => {
    throw isProblem(error, 'RECORD_INVALID') ? memoryDamaged(error.message, error) : error
  })
  if (record === undefined) throw memoryDamaged(`there is no ${memoryRecord}`)
  const [ramFile, stateFile] = await Promise.all([fileStatus(ram), fileStatus(state)])
  if (ramFile?.size !== record.ram.bytes) throw memoryDamaged(sizeOf(ram, ramFile?.size, record.ram.bytes))
  if (stateFile?.size !== record.state.bytes) throw memoryDamaged(sizeOf(state, stateFile?.size, record.state.bytes))
  if ((await sha256Of(state)) !== record.state.sha256) throw memoryDamaged(`${state} is not what was written there`)
  return { record, ram, state, physicalBytes: (ramFile.blocks + stateFile.blocks) * 512 }
}

/** Reads all of its RAM, which nobody else checks who has it mapped as it is. @throws Problem MEMORY_DAMAGED */
export async function checkRam({ ram, record }: StoredMemory): Promise<void> {
  const { sha256 } = await copyWithoutZeros({ from: ram })
  if (sha256 !== record.ram.sha256) throw memoryDamaged(`${ram} is not what was written there`)
}

/** Removes the memory of a shed, if it has one. Needs no space. @throws Problem IO_FAILED */
export async function dropMemory({ layout }: Pick<ShedsContext, 'layout'>, name: string): Promise<void> {
  const { memory: dir } = layout.shed(name)
  await removeDirectory({ dir, staging: layout.staging, what: `the memory of ${name}` })
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

export function memoryDamaged(why: string, cause?: unknown): Problem {
  return new Problem('MEMORY_DAMAGED', `what was kept of its memory cannot be used: ${why}`, { cause })
}

function sizeOf(path: string, has: number | undefined, had: number): string {
  return has === undefined ? `there is no ${path}` : `${path} has ${has} bytes, and had ${had}`
}
