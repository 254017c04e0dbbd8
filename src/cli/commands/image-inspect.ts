import { formatSize, printable, shortDigest } from '../../base/index.ts'
import type { ImageDetail } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { details, table } from '../terminal/table.ts'

export const imageInspect: DefineCommand = (command, run) => {
  command.argument('<image>', 'its name or digest').action(
    run(async (cli, ref: string) => {
      const image = await cli.api.call('inspectImage', { query: { ref } })
      if (cli.json) cli.printJson(image)
      else cli.print(`${describe(image)}\n${layers(image)}`)
    }),
  )
}

function describe(image: ImageDetail): string {
  const { config } = image
  return details([
    ['tags', joined(image.tags)],
    ['digest', image.digest],
    ['manifest', image.manifest_digest],
    ['platform', printable(`${image.os}/${image.architecture}`)],
    ['created', image.created_at === undefined ? undefined : printable(image.created_at)],
    ['size', formatSize(image.size_bytes)],
    ['lower', image.lower_bytes === undefined ? 'not built yet' : formatSize(image.lower_bytes)],
    ['used by', joined(image.used_by)],
    ['entrypoint', joined(config.entrypoint)],
    ['cmd', joined(config.cmd)],
    ['env', joined(config.env)],
    ['workdir', config.working_dir === '' ? undefined : printable(config.working_dir)],
    ['user', config.user === '' ? undefined : printable(config.user)],
    ['labels', joined(Object.entries(config.labels).map(([key, value]) => `${key}=${value}`))],
  ])
}

function joined(items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : items.map(printable).join(' ')
}

function layers({ layer_list }: ImageDetail): string {
  return table<ImageDetail['layer_list'][number]>(
    [
      { title: 'LAYER', cell: ({ digest }) => shortDigest(digest) },
      { title: 'DIFF ID', cell: ({ diff_id }) => shortDigest(diff_id) },
      { title: 'SIZE', align: 'right', cell: ({ size_bytes }) => formatSize(size_bytes) },
      { title: 'TYPE', cell: ({ media_type }) => printable(media_type) },
    ],
    layer_list,
  )
}
