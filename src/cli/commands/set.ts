import { Problem } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { forEachShed } from '../for-each-shed.ts'
import {
  coldAfterText,
  type IdleOptions,
  idleRequest,
  idleTime,
  keepHotText,
  warmAfterText,
} from '../options/idle-options.ts'
import { shedNames } from '../options/shed-names.ts'
import { describeIdle } from '../output/describe-idle.ts'

export const set: DefineCommand = (command, run) => {
  command
    .argument('<sheds...>', 'their names', shedNames)
    .option('--warm-after <duration>', warmAfterText, idleTime)
    .option('--cold-after <duration>', coldAfterText, idleTime)
    .option('--keep-hot', keepHotText)
    .option('--no-keep-hot', 'what the other two say counts again')
    .action(
      run((cli, names: string[], options: IdleOptions) => {
        const body = idleRequest(options)
        if (Object.keys(body).length === 0) throw nothingToSet
        return forEachShed(cli, {
          names,
          work: (name) => cli.api.call('setShed', { params: { name }, body }),
          done: (name, shed) => `${name} ${describeIdle(shed)}`,
        })
      }),
    )
}

const nothingToSet = new Problem('INVALID_REQUEST', 'there is nothing to set', {
  hint: 'say what: --warm-after, --cold-after, --keep-hot or --no-keep-hot',
})
