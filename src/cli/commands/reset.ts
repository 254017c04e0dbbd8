import { confirm } from '../confirm.ts'
import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { shedNames } from '../options/shed-names.ts'

interface Options {
  readonly force?: boolean
}

export const reset: DefineCommand = (command, run) => {
  command
    .argument('<sheds...>', 'their names', shedNames)
    .option('-f, --force', 'do not ask')
    .action(
      run(async (cli, names: string[], { force }: Options) => {
        const question = `Everything written to the disk of ${names.join(', ')} will be lost. Proceed?`
        if (!(await confirm(cli, { question, force }))) return 1
        return forEachShed(cli, {
          names,
          work: (name, onProgress) => cli.api.call('resetShed', { params: { name }, onProgress }),
          done: (name, shed) => `${name} reset (${shed.status})`,
        })
      }),
    )
}
