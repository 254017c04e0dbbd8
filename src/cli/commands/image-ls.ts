import { printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { imageTable } from '../output/image-table.ts'

interface Options {
  readonly quiet?: boolean
}

export const imageLs: DefineCommand = (command, run) => {
  command.option('-q, --quiet', 'names only').action(
    run(async (cli, { quiet }: Options) => {
      const reply = await cli.api.call('listImages', {})
      if (cli.json) return cli.printJson(reply)
      if (quiet !== true) return cli.print(imageTable(reply.images))
      const names = reply.images.flatMap(({ tags, digest }) => (tags.length === 0 ? [digest] : tags))
      cli.print(names.map((name) => `${printable(name)}\n`).join(''))
    }),
  )
}
