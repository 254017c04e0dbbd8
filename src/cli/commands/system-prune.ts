import type { PruneScope } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { addFleetOptions, checkFleetOptions, type FleetOptions } from '../options/fleet-options.ts'
import { addCacheOptions, type CacheOptions, checkedDuration, isAboutCache } from '../options/prune-options.ts'
import { wholeNumber } from '../options/whole-number.ts'
import { pruneEveryServer } from '../prune-every-server.ts'
import { runPrune } from '../run-prune.ts'

interface Options extends CacheOptions, FleetOptions {
  readonly images?: boolean
  readonly instances?: boolean
  readonly orphans?: boolean
  readonly logs?: boolean
  readonly lazy?: boolean
  readonly until?: string
  readonly logTailBytes?: number
  readonly dryRun?: boolean
  readonly force?: boolean
}

export const systemPrune: DefineCommand = (command, run) => {
  command
    .option('--images', 'images that no tag and no shed needs')
    .option('--instances', 'sheds that have been stopped for longer than --until')
    .option('--orphans', 'files that nothing owns any more')
    .option('--logs', 'consoles, cut to their last bytes; never without being asked for')
    .option(
      '--lazy',
      'what is here of images that are read in part, unless it is served, of a shed or pinned; never without being asked for',
    )
  addCacheOptions(command)
    .option(
      '--until <duration>',
      'only what has not changed, or for --cache-only and --lazy not been used, for this long; 0s is any age (72h; those two: 0s)',
      checkedDuration,
    )
    .option(
      '--log-tail-bytes <n>',
      'how much of a console is kept (5242880)',
      wholeNumber('--log-tail-bytes', { min: 0 }),
    )
    .option('--dry-run', 'only show')
    .option('-f, --force', 'do not ask')
  addFleetOptions(command).action(
    run((cli, options: Options) => {
      checkFleetOptions(cli, options)
      const prune = { ...options, scope: scopesOf(options) }
      return options.all === true ? pruneEveryServer(cli, prune, options) : runPrune(cli, prune)
    }),
  )
}

function scopesOf(options: Options): PruneScope[] {
  const asked = (['images', 'instances', 'orphans', 'logs', 'lazy'] as const).filter((scope) => options[scope] === true)
  return isAboutCache(options) ? [...asked, 'cache'] : asked
}
