import type { Argument, Command, Option } from 'commander'
import { commandTable, groups } from './command-table.ts'
import { buildWholeProgram } from './run-cli.ts'

/** docs/cli.md: written from the commands as they are declared, so that it cannot say anything else. */
export async function commandReference(): Promise<string> {
  const program = await buildWholeProgram()
  const leaves = commandTable.filter(({ hidden }) => hidden !== true).map(({ name }) => find(program, name))
  return `${introduction}${leaves.map(section).join('')}`
}

const common = ['--json', '--data', '--server', '--progress']

const introduction = `# The command line

Written from the commands themselves by \`src/cli/command-reference.test.ts\`; \`npx vitest run src/cli/command-reference.test.ts -u\` writes it anew.

Data goes to stdout, progress, notices and questions to stderr. Sizes may be given as \`512MiB\`, \`5GiB\` or \`20GB\` and mean it; they are shown in
decimal units. Durations are written like \`72h\`, \`1h30m\`, \`7d\` or \`0s\`.

Every command has these options; they may stand before its name too:

| option | |
|---|---|
| \`--json\` | print JSON: bytes are integers, times ISO 8601 in UTC |
| \`-s\`, \`--server <name>\` | the server to talk to: one that was added, a URL, or \`local\`; else \`--data\`, else \`COWSHED_SERVER\` (with \`COWSHED_TOKEN\` and \`COWSHED_CA\`), else \`COWSHED_DATA\`, else the default of \`server set-default\` |
| \`--data <dir>\` | the data directory of the daemon to talk to; else \`COWSHED_DATA\`, else \`/var/lib/cowshed\` for root and \`$XDG_DATA_HOME/cowshed\` for others |
| \`--progress <mode>\` | \`auto\`: a bar on a terminal, a line for each 10 % elsewhere; \`json\`: JSON lines on stderr; \`none\` |
| \`-h\`, \`--help\` | what is said here |

A command that finds no daemon on this host starts one in the background and says so; \`version\` and \`completion\` do not. \`COWSHED_DEBUG=1\` shows where an error came
from. \`NO_COLOR\` is respected.

What removes data asks first. Where there is nobody to ask (no terminal, or \`--json\`) it is refused without \`--force\`.

## Exit codes

| code | |
|---|---|
| 0 | done, or there was nothing to do |
| 1 | failed; a question was answered with no |
| 2 | usage: a command, an option or a value is wrong, or \`--force\` is needed |
| 3 | not found |
| 4 | conflict, or in the wrong state for it |
| 5 | no space |
| 6 | of several targets only some were done |
| 7 | no daemon can be reached, trusted or started |
| 130 | interrupted |

\`exec\` and \`shell\` end with the exit code of the program in the shed: 126 when it cannot be run, 127 when it is not found, 128 + n when signal n ended it. 125 means
that it was not the program: cowshed could not run it, or lost it.

## Sheds and the server
`

function find(program: Command, name: string): { name: string; command: Command } {
  let command = program
  for (const word of name.split(' ')) {
    command = command.commands.find((candidate) => candidate.name() === word) ?? command
  }
  return { name, command }
}

function section({ name, command }: { name: string; command: Command }): string {
  const [group, word] = name.split(' ')
  const first = word !== undefined && commandTable.find((entry) => entry.name.startsWith(`${group} `))?.name === name
  const heading = first ? `\n## ${group}: ${groups[group ?? '']}\n` : ''
  const options = command.options.filter(({ long }) => !common.includes(long ?? ''))
  return `${heading}
### cowshed ${name}

${capitalised(command.description())}.

    cowshed ${name} ${command.usage()}
${rows(command.registeredArguments.map(argumentRow), options.map(optionRow))}`
}

function rows(args: readonly string[], options: readonly string[]): string {
  const all = [...args, ...options]
  return all.length === 0 ? '' : `\n| | |\n|---|---|\n${all.join('\n')}\n`
}

function argumentRow(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name()
  return `| \`${argument.required ? `<${name}>` : `[${name}]`}\` | ${choices(argument.description, argument.argChoices)} |`
}

function optionRow({ flags, description, argChoices }: Option): string {
  return `| \`${flags}\` | ${choices(description, argChoices)} |`
}

function choices(description: string, values: readonly string[] | undefined): string {
  const text = description.replace(/\|/g, '\\|')
  return values === undefined ? text : `${text}: ${values.map((value) => `\`${value}\``).join(', ')}`
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
