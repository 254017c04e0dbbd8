import { formatDuration, formatSize, Problem, parseDuration, parseSize, printable } from '../../base/index.ts'
import type { LazyReport, ServedLazy } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'

interface Options {
  readonly nbd: string
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
    .requiredOption('--nbd <address>', 'where to listen: unix:PATH, or tcp:HOST:PORT on this host alone; port 0 is any')
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
        await refuseElsewhere(cli)
        const report = await cli.serveLazy({
          ...{ dataDirectory: cli.layout.root, reference, nbd: onThisHost(cli, options.nbd), signal: cli.signal },
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
      }),
    )
}

/** The block device is made in this process, for this host. */
async function refuseElsewhere(cli: Cli): Promise<void> {
  const { server } = await cli.connection()
  if (server === undefined) return
  throw new Problem('INVALID_REQUEST', `a block device is served on the host itself, and ${server.name} is another`, {
    hint: 'run it there; here: cowshed -s local lazy serve IMAGE --nbd unix:PATH',
  })
}

function onThisHost({ cwd }: Cli, address: string): string {
  const [, path] = /^unix:([^/].*)$/.exec(address) ?? []
  return path === undefined ? address : `unix:${cwd}/${path}`
}

function sayReady(cli: Cli, served: ServedLazy): void {
  if (cli.json) cli.printJson(served)
  else cli.print(`${served.url}\n`)
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
