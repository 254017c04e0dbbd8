import { parseName } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'

interface Options {
  readonly name?: string
  readonly readOnly?: boolean
}

export const tokenCreate: DefineCommand = (command, run) => {
  command
    .option('--name <name>', 'for whom or what it is', (text) => parseName(text, 'name of a token'))
    .option('--read-only', 'it may only look: no exec, no shell, nothing that changes anything')
    .action(
      run(async (cli, { name, readOnly }: Options) => {
        const body = { read_only: readOnly === true, ...(name === undefined ? {} : { name }) }
        const made = await cli.api.call('createToken', { body })
        if (cli.json) return cli.printJson(made)
        cli.print(`${made.token}\n`)
        cli.notice(`this is the token ${made.name}: it is not shown again, and whoever has it may ${allowed(made)}`)
        await sayHowToUse(cli)
      }),
    )
}

function allowed({ read_only }: { readonly read_only: boolean }): string {
  return read_only ? 'look at everything here' : 'do here what you may'
}

async function sayHowToUse(cli: Cli): Promise<void> {
  const { name, network } = await cli.api.call('getInfo', {})
  if (network === undefined) {
    cli.notice('this daemon is not on the network: set listen in config.toml, or run: cowshed serve --listen HOST:PORT')
  } else {
    cli.notice(`next, on the other machine: cowshed server add ${name} ${network.url} --token-stdin`)
  }
}
