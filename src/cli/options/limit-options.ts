import { fewestOperations, smallestMemoryBytes, smallestRate, smallestUpperBytes } from '../../contract/index.ts'
import { rateAtLeast } from './rate-at-least.ts'
import { sizeAtLeast } from './size-at-least.ts'
import { wholeNumber } from './whole-number.ts'

/** What a shed may have of its host. */
export interface LimitOptions<Io = number> {
  readonly cpus?: number
  readonly memory?: number
  readonly upperSize?: number
  readonly ioRead?: Io
  readonly ioWrite?: Io
  readonly iops?: Io
}

export const cpusOf = wholeNumber('--cpus', { min: 1, max: 64 })
export const memoryOf = sizeAtLeast('--memory', smallestMemoryBytes)
export const upperSizeOf = sizeAtLeast('--upper-size', smallestUpperBytes)
export const ioReadOf = rateAtLeast('--io-read', smallestRate)
export const ioWriteOf = rateAtLeast('--io-write', smallestRate)
export const iopsOf = wholeNumber('--iops', { min: fewestOperations })

/** What they say, as requests have it; nothing that was not said. */
export function limitsRequest<Io>(options: LimitOptions<Io>) {
  const { cpus, memory, upperSize, ioRead, ioWrite, iops } = options
  const io = {
    ...(ioRead === undefined ? {} : { read_bytes_per_second: ioRead }),
    ...(ioWrite === undefined ? {} : { write_bytes_per_second: ioWrite }),
    ...(iops === undefined ? {} : { operations_per_second: iops }),
  }
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memory_bytes: memory }),
    ...(upperSize === undefined ? {} : { upper_bytes: upperSize }),
    ...(Object.keys(io).length === 0 ? {} : { io }),
  }
}
