import { type Command, Option } from 'commander'

/** The options that every command has; they may stand before its name too. */
export function addCommonOptions(command: Command): Command {
  return command
    .addOption(new Option('--json', 'print JSON'))
    .addOption(
      new Option('-s, --server <name>', 'the server to talk to, as it was added, or its URL (or COWSHED_SERVER)'),
    )
    .addOption(new Option('--data <dir>', 'the data directory of the daemon to talk to (or COWSHED_DATA)'))
    .addOption(new Option('--progress <mode>', 'how progress is shown').choices(['auto', 'json', 'none']))
}
