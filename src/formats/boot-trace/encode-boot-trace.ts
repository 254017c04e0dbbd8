import { digestHex } from '../../base/index.ts'
import { RecordWriter } from '../records/record-writer.ts'
import type { BootTrace } from './boot-trace.ts'
import { traceMagic, traceVersion } from './trace-format.ts'

/** The bytes of a trace: the same trace gives the same bytes. @see trace-format.ts */
export function encodeBootTrace({ chunkIndex, boots, runs }: BootTrace): Buffer {
  const out = new RecordWriter()
  out.raw(traceMagic)
  out.uint32(traceVersion)
  out.raw(Buffer.from(digestHex(chunkIndex), 'hex'))
  out.number(boots)
  out.number(runs.length)
  let end = 0
  for (const { first, count } of runs) {
    out.signed(first - end)
    out.number(count)
    end = first + count
  }
  return Buffer.from(out.take())
}
