import { parseName } from '../../base/index.ts'
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
        const { stdout, env: surroundings } = cli.terminal
        const request = {
          stdin: true,
          tty: terminalSize(stdout),
          env: { TERM: surroundings.TERM ?? 'xterm-256color', ...env },
          ...(cwd === undefined ? {} : { cwd }),
          ...(user === undefined ? {} : { user }),
        }
        return ours(cli, () => runRemotely(cli, { route: 'shellInShed', name, request }))
      }),
    )
}
