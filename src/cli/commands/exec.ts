import { parseName } from '../../base/index.ts'
import type { ExecRequest } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { runRemotely, terminalSize } from '../exec/run-remotely.ts'
import { collectPairs } from '../options/collect-pairs.ts'
import { reportError } from '../report-error.ts'

interface Options {
  readonly tty?: boolean
  readonly interactive?: boolean
  readonly stdin: boolean
  readonly env?: Record<string, string>
  readonly cwd?: string
  readonly user?: string
}

export const exec: DefineCommand = (command, run, words) => {
  // `exec web -t -- ls -l` and `exec -t web ls -l`: without a -- the first argument begins the program's own words.
  if (!words.includes('--')) command.passThroughOptions()
  command
    .usage('[options] <shed> [--] <argv...>')
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .argument('<argv...>', 'the program and its arguments')
    .option('-t, --tty', 'on a terminal of its own')
    .option('-i, --interactive', 'pass on stdin even when it is a terminal')
    .option('-n, --no-stdin', 'do not pass on stdin, which is done when it is no terminal')
    .option('-e, --env <K=V>', 'environment; may be repeated', collectPairs('--env'))
    .option('-w, --cwd <dir>', 'working directory')
    .option('-u, --user <user>', 'as whom: a name or number, with a :group if need be')
    .action(
      run((cli, name: string, argv: string[], options: Options) =>
        ours(cli, () => runRemotely(cli, { route: 'execInShed', name, request: requestOf(cli, argv, options) })),
      ),
    )
}

/** What keeps a program from running is told apart from what the program answers: exit code 125. */
export async function ours(cli: Cli, work: () => Promise<number>): Promise<number> {
  try {
    return await work()
  } catch (error) {
    reportError(cli, error)
    return 125
  }
}

function requestOf(cli: Cli, argv: readonly string[], options: Options): Partial<ExecRequest> {
  const { stdin, stdout } = cli.terminal
  const wantsStdin = options.interactive === true || options.tty === true || stdin.isTTY !== true
  return {
    argv: [...argv],
    stdin: options.stdin && wantsStdin,
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.tty === true ? { tty: terminalSize(stdout) } : {}),
  }
}
