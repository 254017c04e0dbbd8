import type { Cli } from './cli.ts'
import type { DefineCommand } from './define-command.ts'
import { forEachShed } from './for-each-shed.ts'
import { collectNames } from './options/collect-names.ts'

interface Protect {
  /** What are protected, or let go again: `volumes`. */
  readonly things: string
  readonly protect: (cli: Cli, name: string) => Promise<{ readonly protected?: true | undefined }>
}

/** A command that keeps things from being removed, or lets them go again. */
export function defineProtect({ things, protect }: Protect): DefineCommand {
  return (command, run) => {
    command.argument(`<${things}...>`, 'their names', collectNames(`${things.slice(0, -1)} name`)).action(
      run((cli, names: string[]) =>
        forEachShed(cli, {
          names,
          work: (name) => protect(cli, name),
          done: (name, thing) => `${name} ${thing.protected === true ? 'protected' : 'protected no more'}`,
        }),
      ),
    )
  }
}
