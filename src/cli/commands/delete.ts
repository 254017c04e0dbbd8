import { confirm } from '../confirm.ts'
import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { shedNames } from '../options/shed-names.ts'

interface Options {
  readonly force?: boolean
}

export const deleteSheds: DefineCommand = (command, run) => {
  command
    .argument('<sheds...>', 'their names', shedNames)
    .option('-f, --force', 'do not ask, and delete running ones too')
    .action(
      run(async (cli, names: string[], { force }: Options) => {
        const question = `${names.join(', ')} and everything on ${names.length === 1 ? 'its disk' : 'their disks'} will be deleted. Proceed?`
        if (!(await confirm(cli, { question, force }))) return 1
        return forEachShed(cli, {
          names,
          work: (name) =>
            cli.api.call('deleteShed', { params: { name }, query: { force: force === true ? 'true' : 'false' } }),
          done: (name) => `${name} deleted`,
        })
      }),
    )
}
