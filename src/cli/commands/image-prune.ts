import type { PruneScope } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { addCacheOptions, type CacheOptions, checkedDuration, isAboutCache } from '../options/prune-options.ts'
import { runPrune } from '../run-prune.ts'

interface Options extends CacheOptions {
  readonly layers?: boolean
  readonly until?: string
  readonly dryRun?: boolean
  readonly force?: boolean
}

export const imagePrune: DefineCommand = (command, run) => {
  addCacheOptions(command)
    .option(
      '--layers',
      'layers that only a push or a save needs: their images boot without, and image pull --with-layers brings them back',
    )
    .option('--until <duration>', 'of the cache only what has not been used for this long (0s)', checkedDuration)
    .option('--dry-run', 'only show')
    .option('-f, --force', 'do not ask')
    .action(run((cli, options: Options) => runPrune(cli, { ...options, scope: scopesOf(options) })))
}

function scopesOf(options: Options): PruneScope[] {
  const asked: PruneScope[] = [
    ...(options.layers === true ? (['layers'] as const) : []),
    ...(isAboutCache(options) ? (['cache'] as const) : []),
  ]
  return asked.length === 0 ? ['images'] : asked
}
