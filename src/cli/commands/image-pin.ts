import { printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'

export const imagePin = definePin('pinImage')
export const imageUnpin = definePin('unpinImage')

function definePin(route: 'pinImage' | 'unpinImage'): DefineCommand {
  const pinned = route === 'pinImage'
  return (command, run) => {
    command.argument('<image>', 'its name or digest').action(
      run(async (cli, ref: string) => {
        await cli.api.call(route, { body: { ref } })
        if (cli.json) cli.printJson({ ref, pinned })
        else cli.print(`${printable(ref)} ${pinned ? 'pinned' : 'pinned no more'}\n`)
      }),
    )
  }
}
