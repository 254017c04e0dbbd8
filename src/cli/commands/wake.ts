import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { shedNames } from '../options/shed-names.ts'

export const wake: DefineCommand = (command, run) => {
  command.argument('<sheds...>', 'their names', shedNames).action(
    run((cli, names: string[]) =>
      forEachShed(cli, {
        names,
        work: (name, onProgress) => cli.api.call('wakeShed', { params: { name }, onProgress }),
        done: (name, shed) => `${name} ${shed.status}`,
      }),
    ),
  )
}
