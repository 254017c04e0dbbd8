import { parseDuration } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import { shedNames } from '../options/shed-names.ts'

interface Options {
  readonly timeout?: number
  readonly keepMemory?: boolean
}

export const stop: DefineCommand = (command, run) => {
  command
    .argument('<sheds...>', 'their names', shedNames)
    .option('--timeout <duration>', 'how long the guest may take before its VM is killed (10s)', parseDuration)
    .option('--keep-memory', 'let them sleep: all that is in their memory is kept on disk, until they are woken')
    .action(
      run((cli, names: string[], { timeout, keepMemory }: Options) =>
        forEachShed(cli, {
          names,
          work: (name, onProgress) =>
            cli.api.call('stopShed', {
              params: { name },
              body: {
                ...(timeout === undefined ? {} : { timeout_ms: timeout }),
                ...(keepMemory === true ? { keep_memory: true } : {}),
              },
              onProgress,
            }),
          done: (name, shed) => `${name} ${shed.status}`,
        }),
      ),
    )
}
