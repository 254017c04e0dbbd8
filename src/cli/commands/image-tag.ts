import { printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'

export const imageTag: DefineCommand = (command, run) => {
  command
    .argument('<image>', 'its name or digest')
    .argument('<tag>', 'one more name for it')
    .action(
      run(async (cli, ref: string, tag: string) => {
        await cli.api.call('tagImage', { body: { ref, tag } })
        if (cli.json) cli.printJson({ ref, tag })
        else cli.print(`${printable(tag)} → ${printable(ref)}\n`)
      }),
    )
}
