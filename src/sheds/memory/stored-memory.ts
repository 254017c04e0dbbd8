import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { isProblem, type memoryIn, Problem } from '../../base/index.ts'
import { copyWithoutZeros, fileStatus, inflateWithoutZeros, removeDirectory } from '../../host/index.ts'
import { readRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { MemoryRecord } from './memory-record.ts'

/** What a VM can go on from. */
export interface CutMemory {
  readonly record: Pick<MemoryRecord, 'identity' | 'agent_key' | 'lowers' | 'disks'>
  /** Paths of mem.snap and vm.snap. */
  readonly ram: string
  readonly state: string
  /** RAM has its size already, and its content when this is fulfilled, or there is no such promise. */
  readonly ramReady?: Promise<void> | undefined
}

/** A memory that is on disk, all three files of it. */
export interface StoredMemory extends CutMemory {
  readonly record: MemoryRecord
  /** `ram` is mem.snap.zst: it can be read, and not be mapped. */
  readonly isCompressed: boolean
  /** What it takes on disk: st_blocks × 512. */
  readonly physicalBytes: number
}

/** Where a memory is kept. */
export type MemoryFiles = ReturnType<typeof memoryIn>

/**
 * A memory that is kept. Its record can be read and its files have their sizes; the content of vm.snap is checked, that of mem.snap, which is
 * large, when it is read. Where that is there compressed as well, whoever made it so was cut off, and it does not count.
 *
 * @throws Problem MEMORY_DAMAGED
 */
export async function loadMemory({
  memoryRecord,
  memSnap,
  memSnapZst,
  vmSnap: state,
}: MemoryFiles): Promise<StoredMemory> {
  const record = await readRecord(memoryRecord, MemoryRecord).catch((error: unknown) => {
    throw isProblem(error, 'RECORD_INVALID') ? memoryDamaged(error.message, error) : error
  })
  if (record === undefined) throw memoryDamaged(`there is no ${memoryRecord}`)
  const [plain, stateFile] = await Promise.all([fileStatus(memSnap), fileStatus(state)])
  const compressed = plain === undefined ? await fileStatus(memSnapZst) : undefined
  const ramFile = plain ?? compressed
  if (ramFile === undefined || (plain !== undefined && plain.size !== record.ram.bytes))
    throw memoryDamaged(sizeOf(memSnap, plain?.size, record.ram.bytes))
  if (stateFile?.size !== record.state.bytes) throw memoryDamaged(sizeOf(state, stateFile?.size, record.state.bytes))
  if ((await sha256Of(state)) !== record.state.sha256) throw otherThanWritten(state)
  const isCompressed = compressed !== undefined
  const ram = isCompressed ? memSnapZst : memSnap
  return { record, ram, isCompressed, state, physicalBytes: (ramFile.blocks + stateFile.blocks) * 512 }
}

/**
 * Copies its RAM to a file that is all a hole. Its checksum is that of what was read, so a VM that goes on from the copy has what was written once.
 *
 * @param to left out, RAM is only read: whoever maps the file as it is has nobody else check it
 * @throws Problem MEMORY_DAMAGED, NO_SPACE
 */
export async function readRam({ ram, isCompressed, record }: StoredMemory, to?: string): Promise<void> {
  const { sha256 } = isCompressed
    ? await inflateWithoutZeros({ from: ram, to, bytes: record.ram.bytes }).catch(asDamage)
    : await copyWithoutZeros({ from: ram, to })
  if (sha256 !== record.ram.sha256) throw otherThanWritten(ram)
}

function asDamage(error: unknown): never {
  throw isProblem(error, 'COMPRESSION_INVALID') ? memoryDamaged(error.message, error) : error
}

/** Its checksum is another. */
export function otherThanWritten(path: string): Problem {
  return memoryDamaged(`${path} is not what was written there`)
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
