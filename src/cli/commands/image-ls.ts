import { printable } from '../../base/index.ts'
import type { ImageSummary } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { addFleetOptions, askAll, checkFleetOptions, exitCodeOf, type FleetOptions } from '../options/fleet-options.ts'
import { fleetErrors } from '../output/fleet-errors.ts'
import { imageTable, imageTableOfServers } from '../output/image-table.ts'

interface Options extends FleetOptions {
  readonly quiet?: boolean
}

export const imageLs: DefineCommand = (command, run) => {
  addFleetOptions(command.option('-q, --quiet', 'names only')).action(
    run(async (cli, options: Options) => {
      checkFleetOptions(cli, options)
      if (options.all === true) return await listAll(cli, options)
      const reply = await cli.api.call('listImages', {})
      if (cli.json) cli.printJson(reply)
      else if (options.quiet !== true) cli.print(imageTable(reply.images))
      else
        cli.print(
          namesOf(reply.images)
            .map((name) => `${name}\n`)
            .join(''),
        )
      return 0
    }),
  )
}

async function listAll(cli: Cli, options: Options): Promise<number> {
  const answers = await askAll(cli, options, async (api, signal) => (await api.call('listImages', { signal })).images)
  const servers = answers.map(({ server_name: server, answer: images = [] }) => ({ server, images }))
  if (cli.json) {
    cli.printJson({ servers: answers.map(({ answer: images, ...rest }) => ({ ...rest, ...(images && { images }) })) })
  } else {
    const names = servers.flatMap(({ server, images }) =>
      namesOf(images).map((name) => `${printable(server)}/${name}\n`),
    )
    cli.print(options.quiet === true ? names.join('') : imageTableOfServers(servers))
    cli.terminal.stderr.write(fleetErrors(answers))
  }
  return exitCodeOf(answers, options)
}

function namesOf(images: readonly ImageSummary[]): string[] {
  return images.flatMap(({ tags, digest }) => (tags.length === 0 ? [digest] : tags)).map(printable)
}
