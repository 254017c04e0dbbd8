import { formatSize } from '../../base/index.ts'
import type { IoLimits } from '../../contract/index.ts'

/** How much a shed may read and write, each limit by itself. */
export function describeIo(io: IoLimits = {}): string[] {
  const { read_bytes_per_second: read, write_bytes_per_second: write, operations_per_second: operations } = io
  return [
    ...(read === undefined ? [] : [`reads ${formatSize(read)}/s`]),
    ...(write === undefined ? [] : [`writes ${formatSize(write)}/s`]),
    ...(operations === undefined ? [] : [`${operations} operations/s`]),
  ]
}
