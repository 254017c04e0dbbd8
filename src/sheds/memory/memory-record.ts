import { z } from 'zod'
import { isDigest } from '../../base/index.ts'

/** What a driver says that a state fits to: StateIdentity. */
export const RecordedIdentity = z.object({
  driver: z.string(),
  driver_version: z.string(),
  machine: z.string(),
  acceleration: z.enum(['kvm', 'tcg']),
  cpus: z.int(),
  memory_bytes: z.int(),
  drives: z.array(z.object({ id: z.string(), read_only: z.boolean() })),
  network: z.enum(['user', 'none']),
  /** Part of a path, and perhaps from another host. */
  kernel: z.string().regex(/^[0-9a-f]{32}$/),
})

/** Whether a disk is what it was: any write to it changes one of these. Decimal digits, where a number would be too large for JSON. */
export const DiskMark = z.object({ id: z.string(), inode: z.string(), bytes: z.int(), modified_ns: z.string() })
export type DiskMark = z.infer<typeof DiskMark>

/** What is made from an image is the same wherever it is made, in one of a few forms: its size and the hash of its beginning tell which. */
const WholeLowerMark = z.object({ id: z.string(), bytes: z.int(), head_sha256: z.string() })

/** One that was read in part: all its bytes follow from its chunk index. */
const LazyLowerMark = z.object({ id: z.string(), chunk_index_digest: z.string().refine(isDigest) })

export const LowerMark = z.union([WholeLowerMark, LazyLowerMark])
export type LowerMark = z.infer<typeof LowerMark>

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

/** memory.json: what RAM and the state of devices belong to. There is no path of this host in it. */
export const MemoryRecord = z.object({
  version: z.literal(1),
  /** The shed whose memory it was. */
  shed: z.object({ name: z.string(), id: z.string() }),
  created_at: z.iso.datetime(),
  /** Of the shed's record, when it was cut. */
  disk_generation: z.int(),
  /** The guest's agent goes on with the key that it was booted with. */
  agent_key: z.string().regex(/^[0-9a-f]{32}$/),
  identity: RecordedIdentity,
  /** What it lies over, in the order of the guest. */
  lowers: z.array(LowerMark),
  /** The disks themselves that it goes on with, and how they were; of a copy that has disks of its own there are none. */
  disks: z.array(DiskMark),
  /** sha256 as copyWithoutZeros has it. */
  ram: z.object({ bytes: z.int(), data_bytes: z.int(), sha256 }),
  state: z.object({ bytes: z.int(), sha256 }),
})
export type MemoryRecord = z.infer<typeof MemoryRecord>
