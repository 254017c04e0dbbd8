import type { DefineCommand } from '../define-command.ts'
import { lazyTable, nameOfLazy } from '../output/lazy-table.ts'

interface Options {
  readonly quiet?: boolean
  readonly wide?: boolean
}

export const lazyLs: DefineCommand = (command, run) => {
  command
    .option('-q, --quiet', 'names only')
    .option('-w, --wide', 'with all that serving them has taken: bytes asked for, fetched, read, and read by nobody')
    .action(
      run(async (cli, { quiet, wide = false }: Options) => {
        const { images } = await cli.api.call('listLazy', {})
        if (cli.json) cli.printJson({ images })
        else if (quiet === true) cli.print(images.map((image) => `${nameOfLazy(image)}\n`).join(''))
        else cli.print(lazyTable(images, { wide }))
      }),
    )
}
