import { type Digest, digestHex, Problem } from '../../base/index.ts'
import { afterHeader } from '../records/after-header.ts'
import { RecordReader } from '../records/record-reader.ts'
import { type BootTrace, bootTraceLimits, invalidTrace, type LeafRun } from './boot-trace.ts'
import { digestBytes, traceMagic, traceVersion } from './trace-format.ts'

const header = {
  magic: traceMagic,
  version: traceVersion,
  noun: 'boot trace',
  hint: 'a newer cowshed may know it; the image boots without',
  invalid: invalidTrace,
}

/** The lower that a trace must be of. */
export interface TracedLower {
  readonly chunkIndex: Digest
  /** How many leaves it has. */
  readonly leaves: number
}

/**
 * Reads a trace of a lower.
 *
 * @throws Problem BOOT_TRACE_INVALID when it is none, is of another lower, or contradicts itself; IMAGE_UNSUPPORTED for a version that is not known;
 *   LIMIT_EXCEEDED when it is too large
 * @see trace-format.ts
 */
export function decodeBootTrace(bytes: Buffer, { chunkIndex, leaves }: TracedLower): BootTrace {
  if (bytes.length > bootTraceLimits.bytes) {
    throw new Problem('LIMIT_EXCEEDED', `the boot trace has ${bytes.length} bytes; ${bootTraceLimits.bytes} are read`)
  }
  const reader = new RecordReader(afterHeader(bytes, header), invalidTrace)
  if (reader.raw(digestBytes).toString('hex') !== digestHex(chunkIndex)) throw invalidTrace('it is of another image')
  const boots = reader.number()
  if (boots === 0 || boots > bootTraceLimits.boots) throw invalidTrace(`it cannot be of ${boots} boots`)
  const runs = readRuns(reader, leaves)
  if (!reader.atEnd) throw invalidTrace('there is more behind its end')
  return { chunkIndex, boots, runs }
}

function readRuns(reader: RecordReader, leaves: number): LeafRun[] {
  const seen = new Uint8Array(leaves)
  const runs: LeafRun[] = []
  let [end, total] = [0, 0]
  for (let left = reader.number(); left > 0; left--) {
    const first = end + reader.signed()
    const count = reader.number()
    total += count
    end = first + count
    if (count === 0 || first < 0 || end > leaves) throw invalidTrace(`leaves ${first}+${count} are not in the image`)
    if (total > bootTraceLimits.leaves) throw invalidTrace(`it has more than ${bootTraceLimits.leaves} leaves`)
    if (seen.subarray(first, end).includes(1)) throw invalidTrace('a leaf is in it twice')
    seen.fill(1, first, end)
    runs.push({ first, count })
  }
  return runs
}
