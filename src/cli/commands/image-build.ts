import { Problem, printable } from '../../base/index.ts'
import type { LoadImageReply } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { collectPairs } from '../options/collect-pairs.ts'
import { serverPath } from '../options/server-path.ts'
import { wholeNumber } from '../options/whole-number.ts'
import { imageTable } from '../output/image-table.ts'

interface Options {
  readonly tag?: string
  readonly file?: string
  readonly buildArg?: Record<string, string>
  readonly target?: string
  readonly platform?: string
  readonly sourceDateEpoch?: number
  readonly cache: boolean
  readonly fromOciArchive?: string
}

const wholeEpoch = wholeNumber('--source-date-epoch', { min: 0, max: 253_402_300_799 })

export const imageBuild: DefineCommand = (command, run) => {
  command
    .argument('[context]', 'the directory that the Dockerfile can copy from')
    .option('-t, --tag <ref>', "what to call the image (its directory's name)")
    .option('-f, --file <file>', "the Dockerfile (the context's)")
    .option('--build-arg <K=V>', 'a value for an ARG of the Dockerfile; may be repeated', collectPairs('--build-arg'))
    .option('--target <stage>', 'the stage that is wanted (the last one)')
    .option('--platform <os/arch>', 'what the image is to run on (this host)')
    .option(
      '--source-date-epoch <seconds>',
      'the time of everything in the image, so that the same content gives the same image (or SOURCE_DATE_EPOCH)',
      wholeEpoch,
    )
    .option('--no-cache', 'do every step again')
    .option('--from-oci-archive <file>', 'take in an archive that was built elsewhere, instead of building')
    .action(
      run(async (cli, context: string | undefined, options: Options) => {
        const reply = await (options.fromOciArchive === undefined
          ? build(cli, context, options)
          : takeIn(cli, context, { archive: options.fromOciArchive, tag: options.tag }))
        if (cli.json) return cli.printJson(reply)
        cli.print(imageTable(reply.images))
        cli.notice(`next: cowshed create NAME --image ${printable(nameOf(reply))}`)
      }),
    )
}

async function build(cli: Cli, context: string | undefined, options: Options): Promise<LoadImageReply> {
  if (context === undefined) {
    throw new Problem('INVALID_REQUEST', 'there is nothing to build', { hint: 'cowshed image build -t NAME DIRECTORY' })
  }
  const body = await requestOf(cli, context, options)
  return await cli.withProgress((onProgress) => cli.api.call('buildImage', { body, onProgress }))
}

async function requestOf(cli: Cli, context: string, options: Options) {
  const { tag, file, buildArg, target, platform, cache } = options
  const epoch = options.sourceDateEpoch ?? epochOf(cli)
  return {
    context: await serverPath(cli, context),
    no_cache: !cache,
    ...(tag === undefined ? {} : { tag }),
    ...(file === undefined ? {} : { dockerfile: await serverPath(cli, file) }),
    ...(buildArg === undefined ? {} : { build_args: buildArg }),
    ...(target === undefined ? {} : { target }),
    ...(platform === undefined ? {} : { platform }),
    ...(epoch === undefined ? {} : { source_date_epoch: epoch }),
  }
}

/** @see https://reproducible-builds.org/docs/source-date-epoch/ */
function epochOf({ terminal: { env } }: Cli): number | undefined {
  return env.SOURCE_DATE_EPOCH ? wholeEpoch(env.SOURCE_DATE_EPOCH) : undefined
}

interface TakeIn {
  readonly archive: string
  readonly tag: string | undefined
}

async function takeIn(cli: Cli, context: string | undefined, { archive, tag }: TakeIn): Promise<LoadImageReply> {
  if (context !== undefined) {
    throw new Problem('INVALID_REQUEST', 'an archive that was built already has no use for a context')
  }
  const body = { path: await serverPath(cli, archive), ...(tag === undefined ? {} : { tag }) }
  return await cli.withProgress((onProgress) => cli.api.call('loadImage', { query: {}, body, onProgress }))
}

function nameOf({ images: [first] }: LoadImageReply): string {
  return first?.tags[0] ?? first?.digest ?? 'REF'
}
