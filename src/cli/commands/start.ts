import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { shedNames } from '../options/shed-names.ts'

interface Options {
  readonly coldBoot?: boolean
}

export const start: DefineCommand = (command, run) => {
  command
    .argument('<sheds...>', 'their names', shedNames)
    .option('--cold-boot', 'boot those that sleep from their disks: what is in their memory is lost')
    .action(
      run((cli, names: string[], { coldBoot }: Options) =>
        forEachShed(cli, {
          names,
          work: (name, onProgress) =>
            cli.api.call('startShed', { params: { name }, body: { cold_boot: coldBoot === true }, onProgress }),
          done: (name, shed) => `${name} ${shed.status}`,
        }),
      ),
    )
}
