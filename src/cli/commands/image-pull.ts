import { isProblem, printable } from '../../base/index.ts'
import type { PullImageReply } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { imageTable } from '../output/image-table.ts'
import { reportError } from '../report-error.ts'

interface Options {
  readonly platform?: string
  readonly insecure?: boolean
  readonly withLayers?: boolean
  readonly quiet?: boolean
}

export const imagePull: DefineCommand = (command, run) => {
  command
    .argument('<images...>', 'what to pull: debian:12, registry.example/team/app@sha256:…')
    .option('--platform <platform>', 'os/arch[/variant], when it is not to be that of this host')
    .option('--insecure', 'http instead of https')
    .option(
      '--with-layers',
      'also layers that only a push needs: of a published image, or dropped by image prune --layers',
    )
    .option('-q, --quiet', 'print digests only')
    .action(run((cli, refs: string[], options: Options) => pullEach(cli, refs, options)))
}

/** One after the other: the layers of each come side by side already. */
async function pullEach(cli: Cli, refs: readonly string[], options: Options): Promise<number> {
  const pulled: PullImageReply[] = []
  const failures: unknown[] = []
  for (const ref of refs) {
    try {
      pulled.push(await pull(cli, ref, options))
    } catch (error) {
      if (cli.signal.aborted) {
        cli.notice('stopped: what was fetched is kept, and the same command goes on from there')
        throw error
      }
      failures.push(error)
    }
  }
  print(cli, pulled, options)
  for (const failure of failures) reportError(cli, failure)
  const [first] = failures
  if (first === undefined) return 0
  return pulled.length > 0 ? partial : isProblem(first) ? first.exitCode : 1
}

const partial = 6

async function pull(
  cli: Cli,
  ref: string,
  { platform, insecure, withLayers, quiet }: Options,
): Promise<PullImageReply> {
  const body = {
    ref,
    insecure: insecure === true,
    with_layers: withLayers === true,
    ...(platform === undefined ? {} : { platform }),
  }
  const call = (onProgress?: Parameters<Parameters<Cli['withProgress']>[0]>[0]) =>
    cli.api.call('pullImage', { body, onProgress })
  const reply = await (quiet === true ? call() : cli.withProgress(call))
  if (reply.outcome === 'unchanged' && quiet !== true && !cli.json) cli.notice(`${printable(ref)} is up to date`)
  return reply
}

function print(cli: Cli, pulled: readonly PullImageReply[], { quiet }: Options): void {
  if (cli.json) cli.printJson({ pulled })
  else if (quiet === true) for (const { image } of pulled) cli.print(`${image.digest}\n`)
  else if (pulled.length > 0) cli.print(imageTable(pulled.map(({ image }) => image)))
}
