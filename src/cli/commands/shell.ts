import { parseName } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { runRemotely, terminalSize } from '../exec/run-remotely.ts'
import { collectPairs } from '../options/collect-pairs.ts'
import { ours } from './exec.ts'

interface Options {
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly user?: string
}

export const shell: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .option('-e, --env <K=V>', 'environment; may be repeated', collectPairs('--env'))
    .option('-w, --cwd <dir>', 'working directory')
    .option('-u, --user <user>', 'as whom')
    .action(
      run((cli, name: string, { env, cwd, user }: Options) => {
        const given = {
          stdin: true,
          ...(cwd === undefined ? {} : { cwd }),
          ...(user === undefined ? {} : { user }),
        }
        const { route, request } = cli.terminal.stdin.isTTY === true ? onTerminal(cli, env) : fromPipe(env)
        return ours(cli, () => runRemotely(cli, { route, name, request: { ...given, ...request } }))
      }),
    )
}

function onTerminal({ terminal: { stdout, env: surroundings } }: Cli, env: Options['env']) {
  const request = { tty: terminalSize(stdout), env: { TERM: surroundings.TERM ?? 'xterm-256color', ...env } }
  return { route: 'shellInShed', request } as const
}

/** `cowshed shell web < commands`: a terminal in the shed would have no way to tell where the commands end. */
function fromPipe(env: Options['env']) {
  const request = { argv: ['/bin/sh', '-l'], ...(env === undefined ? {} : { env }) }
  return { route: 'execInShed', request } as const
}
