import { parseName, printable } from '../../base/index.ts'
import { type ForkShedReply, mostForks } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { wholeNumber } from '../options/whole-number.ts'

interface Options {
  readonly count?: number
  readonly coldBoot?: boolean
  readonly withSecrets?: boolean
}

export const fork: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'the shed that is copied, as it is now', (text) => parseName(text, 'shed name'))
    .argument('<new>', 'the name of the fork; with --count what their names begin with', (text) =>
      parseName(text, 'shed name'),
    )
    .option(
      '--count <n>',
      'make so many, called NEW-1, NEW-2 and so on',
      wholeNumber('--count', { min: 1, max: mostForks }),
    )
    .option('--cold-boot', 'boot them from copies of the disk, whatever is in its memory')
    .option('--with-secrets', 'also when secrets may be in its memory; the forks are given those that it is given')
    .action(
      run(async (cli, name: string, newName: string, { count, coldBoot, withSecrets }: Options) => {
        const body = {
          name: newName,
          ...(count === undefined ? {} : { count }),
          ...(coldBoot === true ? { cold_boot: true } : {}),
          ...(withSecrets === true ? { with_secrets: true } : {}),
        }
        const made = await cli.withProgress((onProgress) =>
          cli.api.call('forkShed', { params: { name }, body, onProgress }),
        )
        if (cli.json) return cli.printJson(made)
        cli.print(forkLines(name, made))
      }),
    )
}

/** One line for each fork. */
export function forkLines(source: string, { sheds, pause_ms }: ForkShedReply): string {
  const paused = pause_ms === undefined ? '' : `, which was paused for ${pause_ms} ms`
  return sheds.map(({ name, status }) => `${name} ${status} (fork of ${printable(source)}${paused})\n`).join('')
}
