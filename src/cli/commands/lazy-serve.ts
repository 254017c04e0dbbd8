import { resolve } from 'node:path'
import { formatDuration, formatSize, Problem, parseDuration, parseSize, printable } from '../../base/index.ts'
import type { LazyReport, ServedLazy } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'

interface Options {
  readonly nbd?: string
  readonly fuse?: string
  readonly insecure?: boolean
  readonly failAfter: number | 'never'
  readonly fill?: boolean
  readonly fillRate?: number
  readonly untilUnused?: boolean
  readonly trace?: string
}

const failAfterMs = 60_000

export const lazyServe: DefineCommand = (command, run) => {
  command
    .argument(
      '<image>',
      'as it was published: registry.example/team/app:v1, or by its digest; or the chunk index of one in `lazy ls`',
    )
    .option(
      '--nbd <address>',
      'as a block device, and where to listen: unix:PATH, or tcp:HOST:PORT on this host alone; port 0 is any',
    )
    .option(
      '--fuse <path>',
      'as a read-only file, at a path where nothing is or an empty file, whose owner and mode it has; for root',
    )
    .option('--insecure', 'http instead of https')
    .option(
      '--fail-after <duration>',
      'when nothing has come from the registry for so long, reads fail; `never`: they wait for as long as it takes',
      (text) => (text === 'never' ? text : parseDuration(text)),
      failAfterMs,
    )
    .option('--fill', 'fetch all of it, behind what is read')
    .option('--fill-rate <size>', 'with --fill: so much of it in a second at most', parseSize)
    .option(
      '--trace <name>',
      'the boot trace to fetch ahead by, which is recorded when there is none of that name (boot)',
    )
    .option('--until-unused', 'end when nobody has been connected for a while')
    .action(
      run(async (cli, reference: string, options: Options) => {
        refuseNowhere(options)
        await refuseElsewhere(cli)
        const report = await cli.serveLazy({
          ...{ dataDirectory: cli.layout.root, reference, signal: cli.signal },
          ...placesOf(cli, options),
          insecure: options.insecure === true,
          failAfterMs: options.failAfter === 'never' ? undefined : options.failAfter,
          trace: options.trace,
          fill: options.fill === true || options.fillRate !== undefined,
          untilUnused: options.untilUnused === true,
          fillBytesPerSecond: options.fillRate,
          onReady: (served) => sayReady(cli, served),
          onNotice: (message) => cli.notice(printable(message)),
        })
        if (cli.json) cli.printJson(report)
        else cli.notice(summary(report))
        if (report.wrong === undefined) return 0
        cli.notice(`error: ${printable(report.wrong)}`)
        return 1
      }),
    )
}

function refuseNowhere({ nbd, fuse }: Options): void {
  if (nbd !== undefined || fuse !== undefined) return
  throw new Problem('INVALID_REQUEST', 'where is it to be served?', {
    hint: 'as a block device: --nbd unix:PATH; as a file: --fuse PATH; or both',
  })
}

/** It is served by this process, for this host. */
async function refuseElsewhere(cli: Cli): Promise<void> {
  const { server } = await cli.connection()
  if (server === undefined) return
  throw new Problem('INVALID_REQUEST', `an image is served on the host itself, and ${server.name} is another`, {
    hint: 'run it there; here: cowshed -s local lazy serve IMAGE --nbd unix:PATH',
  })
}

function placesOf({ cwd }: Cli, { nbd, fuse }: Options) {
  const [, path] = /^unix:([^/].*)$/.exec(nbd ?? '') ?? []
  return {
    nbd: path === undefined ? nbd : `unix:${cwd}/${path}`,
    fuse: fuse === undefined ? undefined : resolve(cwd, fuse),
  }
}

function sayReady(cli: Cli, served: ServedLazy): void {
  if (cli.json) cli.printJson(served)
  else for (const place of [served.url, served.path]) if (place !== undefined) cli.print(`${place}\n`)
  const { reference, bytes } = served
  cli.notice(`${printable(reference)} (${formatSize(bytes)}) is served; it ends with Ctrl-C`)
}

function summary(report: LazyReport): string {
  const { read_bytes, fetched_bytes, unread_bytes, host_bytes, requests, requested_bytes, misses, stall_ms } = report
  const fetched = `${formatSize(fetched_bytes)} fetched in ${requests} requests (${formatSize(requested_bytes)})`
  const here = host_bytes === 0 ? '' : `, ${formatSize(host_bytes)} taken from this host`
  const wasted = unread_bytes === 0 ? '' : `, ${formatSize(unread_bytes)} of it read by nobody`
  return `${formatSize(read_bytes)} read; ${fetched}${wasted}${here}; ${misses} reads waited ${formatDuration(stall_ms)} in all`
}
