import type { DefineCommand } from '../define-command.ts'
import { addCacheOptions, type CacheOptions, checkedDuration, isAboutCache } from '../options/prune-options.ts'
import { runPrune } from '../run-prune.ts'

interface Options extends CacheOptions {
  readonly until?: string
  readonly dryRun?: boolean
  readonly force?: boolean
}

export const imagePrune: DefineCommand = (command, run) => {
  addCacheOptions(command)
    .option('--until <duration>', 'of the cache only what has not been used for this long (0s)', checkedDuration)
    .option('--dry-run', 'only show')
    .option('-f, --force', 'do not ask')
    .action(
      run((cli, options: Options) =>
        runPrune(cli, { ...options, scope: [isAboutCache(options) ? 'cache' : 'images'] }),
      ),
    )
}
