import { Problem } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'

/** No key is near it. */
const maxBytes = 1000

export const backupKey: DefineCommand = (command, run) => {
  command
    .argument(
      '<action>',
      "show: print this host's own key; import: read another host's from stdin. A key is never an argument",
    )
    .action(
      run(async (cli, action: string) => {
        if (action === 'show') await show(cli)
        else if (action === 'import') await importKey(cli)
        else throw new Problem('INVALID_REQUEST', `backup key can show and import, not ${JSON.stringify(action)}`)
      }),
    )
}

async function show(cli: Cli): Promise<void> {
  const reply = await cli.api.call('showBackupKey', {})
  if (cli.json) cli.printJson(reply)
  else cli.print(`${reply.key}\n`)
  cli.notice('whoever has this key and the backups has what is in them')
}

async function importKey(cli: Cli): Promise<void> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of cli.terminal.stdin) {
    const piece = Buffer.from(chunk as Uint8Array)
    bytes += piece.length
    if (bytes > maxBytes) throw new Problem('BACKUP_KEY_INVALID', 'not a backup key: it is too long')
    chunks.push(piece)
  }
  const reply = await cli.api.call('importBackupKey', { body: { key: Buffer.concat(chunks).toString() } })
  if (cli.json) cli.printJson(reply)
  else cli.print(`${reply.id} imported\n`)
}
