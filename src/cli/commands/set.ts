import { formatSize, Problem } from '../../base/index.ts'
import type { SetLimitsRequest, SetThermalRequest, Shed } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import {
  coldAfterText,
  type IdleOptions,
  idleRequest,
  idleTime,
  keepHotText,
  warmAfterText,
} from '../options/idle-options.ts'
import {
  cpusOf,
  iopsOf,
  ioReadOf,
  ioWriteOf,
  type LimitOptions,
  limitsRequest,
  memoryOf,
  upperSizeOf,
} from '../options/limit-options.ts'
import { shedNames } from '../options/shed-names.ts'
import { describeIdle } from '../output/describe-idle.ts'
import { describeIo } from '../output/describe-io.ts'

/** `none`: not limited any more. commander makes a null something else. */
type Options = IdleOptions & LimitOptions<number | 'none'>

export const set: DefineCommand = (command, run) => {
  command
    .argument('<sheds...>', 'their names', shedNames)
    .option('--warm-after <duration>', warmAfterText, idleTime)
    .option('--cold-after <duration>', coldAfterText, idleTime)
    .option('--keep-hot', keepHotText)
    .option('--no-keep-hot', 'what the other two say counts again')
    .option('--cpus <n>', 'virtual CPUs; of a stopped shed, as all that follows', cpusOf)
    .option('--memory <size>', 'memory', memoryOf)
    .option('--upper-size <size>', 'how large its disk is to be, at least what it is; it grows at once', upperSizeOf)
    .option('--io-read <rate>', 'how much all its disks may read a second, or `none` for no limit', orNone(ioReadOf))
    .option('--io-write <rate>', 'how much they may write a second, or `none`', orNone(ioWriteOf))
    .option('--iops <n>', 'how often they may read or write a second, or `none`', orNone(iopsOf))
    .action(
      run((cli, names: string[], options: Options) => {
        const [limits, idle] = [limitsOf(options), idleRequest(options)]
        const [setsLimits, setsIdle] = [isSaid(limits), isSaid(idle)]
        if (!setsLimits && !setsIdle) throw nothingToSet
        return forEachShed(cli, {
          names,
          work: (name) => setBoth(cli, name, { limits, idle }),
          done: (name, shed) =>
            [
              ...(setsLimits ? [`${name} ${describeLimits(shed)}`] : []),
              ...(setsIdle ? [`${name} ${describeIdle(shed)}`] : []),
            ].join('\n'),
        })
      }),
    )
}

interface Both {
  readonly limits: SetLimitsRequest
  readonly idle: SetThermalRequest
}

/** Limits first: they may be refused. */
async function setBoth(cli: Cli, name: string, { limits, idle }: Both): Promise<Shed> {
  const params = { name }
  const limited = isSaid(limits) ? await cli.api.call('setShedLimits', { params, body: limits }) : undefined
  return limited !== undefined && !isSaid(idle) ? limited : await cli.api.call('setShed', { params, body: idle })
}

function isSaid(request: object): boolean {
  return Object.keys(request).length > 0
}

function limitsOf({ ioRead, ioWrite, iops, ...options }: Options): SetLimitsRequest {
  return limitsRequest({
    ...options,
    ...(ioRead === undefined ? {} : { ioRead: nullIfNone(ioRead) }),
    ...(ioWrite === undefined ? {} : { ioWrite: nullIfNone(ioWrite) }),
    ...(iops === undefined ? {} : { iops: nullIfNone(iops) }),
  })
}

function nullIfNone(value: number | 'none'): number | null {
  return value === 'none' ? null : value
}

function orNone(parse: (text: string) => number): (text: string) => number | 'none' {
  return (text) => (text === 'none' ? text : parse(text))
}

function describeLimits({ cpus, memory_bytes, upper_bytes, io }: Shed): string {
  const sizes = [`${formatSize(memory_bytes)} of memory`, `${formatSize(upper_bytes)} of disk`]
  const counts = [`${cpus} ${cpus === 1 ? 'CPU' : 'CPUs'}`, ...sizes]
  return ['may have', [...counts, ...describeIo(io)].join(', ')].join(' ')
}

const nothingToSet = new Problem('INVALID_REQUEST', 'there is nothing to set', {
  hint: 'say what: --warm-after, --cold-after, --keep-hot, --cpus, --memory, --upper-size, --io-read, --io-write or --iops',
})
