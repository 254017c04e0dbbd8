import { createReadStream } from 'node:fs'
import { parseName } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'

export const secretSet: DefineCommand = (command, run) => {
  command
    .argument('<name>', 'its name: 1 to 63 of a-z, 0-9 and -', (text) => parseName(text, 'name for a secret'))
    .option('--file <path>', 'where its value is; stdin when left out. It is never an argument')
    .action(
      run(async (cli, secret: string, { file }: { readonly file?: string }) => {
        if (file === undefined && cli.terminal.stdin.isTTY === true) {
          cli.notice('type the value, then Ctrl-D; it is shown as you type: better from a file, or through a pipe')
        }
        const source = file === undefined ? cli.terminal.stdin : createReadStream(file)
        const upload = { mediaType: 'application/octet-stream', source }
        const reply = await cli.api.call('setSecret', { params: { secret }, upload })
        if (cli.json) cli.printJson(reply)
        else cli.print(`${secret} ${reply.outcome}\n`)
        if (reply.outcome === 'created') cli.notice(`next: cowshed create SHED --image IMAGE --secret ${secret}`)
      }),
    )
}
