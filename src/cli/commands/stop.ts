import { parseDuration } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { shedNames } from '../options/shed-names.ts'

interface Options {
  readonly timeout?: number
}

export const stop: DefineCommand = (command, run) => {
  command
    .argument('<sheds...>', 'their names', shedNames)
    .option('--timeout <duration>', 'how long the guest may take before its VM is killed (10s)', parseDuration)
    .action(
      run((cli, names: string[], { timeout }: Options) =>
        forEachShed(cli, {
          names,
          work: (name, onProgress) =>
            cli.api.call('stopShed', {
              params: { name },
              body: timeout === undefined ? {} : { timeout_ms: timeout },
              onProgress,
            }),
          done: (name, shed) => `${name} ${shed.status}`,
        }),
      ),
    )
}
