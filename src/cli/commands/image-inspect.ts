import { formatSize, Problem, printable, printableJson, shortDigest } from '../../base/index.ts'
import type { ImageDetail } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { describeLazy } from '../output/describe-lazy.ts'
import { details, table } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { writeAll } from '../terminal/write-all.ts'

interface Options {
  readonly raw?: boolean
  readonly config?: boolean
}

export const imageInspect: DefineCommand = (command, run) => {
  command
    .argument('<image>', 'its name or digest')
    .option('--raw', 'the manifest or index, byte for byte')
    .option('--config', "the config of this host's image, byte for byte")
    .action(
      run(async (cli, ref: string, { raw, config }: Options) => {
        if (raw === true && config === true)
          throw new Problem('INVALID_REQUEST', '--raw and --config are two documents')
        if (raw === true) return await writeDocument(cli, ref, 'root')
        if (config === true) return await writeDocument(cli, ref, 'config')
        const image = await cli.api.call('inspectImage', { query: { ref } })
        if (cli.json) cli.printJson(image)
        else cli.print(`${describe(image)}\n${partlyHere(image, cli.terminal)}${layers(image)}`)
      }),
    )
}

/** Exactly as it is stored; only on a terminal, which would obey what stands in it, as JSON that says the same. */
async function writeDocument(cli: Cli, ref: string, which: 'root' | 'config'): Promise<void> {
  const { stdout } = cli.terminal
  const source = await cli.api.download('readImageDocument', { query: { ref, which } })
  if (stdout.isTTY !== true) return await writeAll(stdout, source)
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  cli.print(`${printableJson(Buffer.concat(chunks).toString('utf8')).trimEnd()}\n`)
}

function describe(image: ImageDetail): string {
  const { config } = image
  return details([
    ['tags', joined(image.tags)],
    ['digest', image.digest],
    ['manifest', image.manifest_digest],
    ['platform', printable(image.platform ?? `${image.os}/${image.architecture}`)],
    ['author', image.author === undefined ? undefined : printable(image.author)],
    ['created', image.created_at === undefined ? undefined : printable(image.created_at)],
    ['size', formatSize(image.size_bytes)],
    ['lower', lowerOf(image)],
    ['layers', image.boot_only ? 'not here (boot-only)' : undefined],
    ['pinned', image.pinned === true ? 'yes' : undefined],
    ['used by', joined(image.used_by)],
    ['entrypoint', joined(config.entrypoint)],
    ['cmd', joined(config.cmd)],
    ['env', joined(config.env)],
    ['workdir', config.working_dir === '' ? undefined : printable(config.working_dir)],
    ['user', config.user === '' ? undefined : printable(config.user)],
    ['ports', joined(config.exposed_ports)],
    ['volumes', joined(config.volumes)],
    ['stop signal', config.stop_signal === undefined ? undefined : printable(config.stop_signal)],
    ['labels', pairs(config.labels)],
    ['annotations', pairs(image.annotations)],
  ])
}

function lowerOf({ lower_bytes: bytes, lower_profile: profile, lower_form: form }: ImageDetail): string {
  if (bytes === undefined) return 'not built yet'
  const what = [profile, form === 'parts' ? 'in parts' : undefined].filter((word) => word !== undefined)
  return `${formatSize(bytes)}${what.length === 0 ? '' : ` (${what.join(', ')})`}`
}

/** Of one that is read before it is here. */
function partlyHere({ lazy = [] }: ImageDetail, terminal: Terminal): string {
  return lazy
    .flatMap(({ status, profile, sheds, progress }) => {
      if (progress === undefined) return []
      const what = [
        ['lazy', [status, profile].filter((word) => word !== undefined).join(', ')],
        ['read by', joined(sheds)],
        ...describeLazy(progress, terminal),
      ] as const
      return [`${details(what)}\n`]
    })
    .join('')
}

function joined(items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : items.map(printable).join(' ')
}

function pairs(map: Readonly<Record<string, string>>): string | undefined {
  return joined(Object.entries(map).map(([key, value]) => `${key}=${value}`))
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
