import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { shedNames } from '../options/shed-names.ts'

export const pause: DefineCommand = (command, run) => {
  command.argument('<sheds...>', 'their names', shedNames).action(
    run((cli, names: string[]) =>
      forEachShed(cli, {
        names,
        work: (name) => cli.api.call('pauseShed', { params: { name } }),
        done: (name, shed) => `${name} ${shed.status}`,
      }),
    ),
  )
}
