import { formatSize, parseName, printable, shortDigest } from '../../base/index.ts'
import type { Shed } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { describeIdle } from '../output/describe-idle.ts'
import { describeIo } from '../output/describe-io.ts'
import { describeLazy } from '../output/describe-lazy.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { details } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'

export const inspect: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .action(
      run(async (cli, name: string) => {
        const shed = await cli.api.call('getShed', { params: { name } })
        if (cli.json) cli.printJson(shed)
        else cli.print(describe(shed, cli.terminal))
      }),
    )
}

function describe(shed: Shed, terminal: Terminal): string {
  const name = ['name', printable(shed.name)] as const
  const status = [
    ['status', shed.status],
    ['reason', shed.status_reason === undefined ? undefined : printable(shed.status_reason)],
    ['protected', shed.protected === true ? `yes (cowshed unprotect ${shed.name})` : undefined],
  ] as const
  // Nothing else is known of it.
  if (shed.status === 'broken') return details([name, ...status])
  return details([
    name,
    ['id', shed.id],
    ...status,
    ['image', printable(shed.image.ref)],
    ['manifest', shortDigest(shed.image.manifest_digest)],
    ['lazy', shed.lazy && describeSource(shed.lazy)],
    ...(shed.lazy?.progress === undefined ? [] : describeLazy(shed.lazy.progress, terminal)),
    ['fork of', shed.forked_from === undefined ? undefined : printable(shed.forked_from.name)],
    ['snapshot', shed.snapshot === undefined ? undefined : printable(shed.snapshot.name)],
    ['cpus', String(shed.cpus)],
    ['memory', formatSize(shed.memory_bytes)],
    [
      'on disk',
      shed.memory_on_disk_bytes === undefined ? undefined : `${formatSize(shed.memory_on_disk_bytes)} of memory`,
    ],
    [shed.rootfs === 'ext4' ? 'rootfs' : 'upper', formatSize(shed.upper_bytes)],
    ['network', shed.network],
    ['i/o', listed(describeIo(shed.io))],
    ['backend', [shed.backend, shed.acceleration].filter((part) => part !== undefined).join(', ')],
    ['pid', shed.pid === undefined ? undefined : String(shed.pid)],
    ['created', when(shed.created_at)],
    ['changed', when(shed.changed_at)],
    ['started', shed.started_at === undefined ? undefined : when(shed.started_at)],
    ['idle', describeIdle(shed)],
    ['idle since', shed.idle_since === undefined ? undefined : when(shed.idle_since)],
    ['forwards', listed(shed.forwards.map(({ host_port, guest_port }) => `127.0.0.1:${host_port}→${guest_port}`))],
    ['volumes', listed(shed.volumes.map(mountOf))],
    ['secrets', listed(shed.secrets.map(({ secret, env, path }) => printable(`${secret}→${path ?? env}`)))],
    [
      'in memory',
      shed.secrets_in_memory && `${listed(shed.secrets_in_memory.map(printable))} (secrets; gone with its next boot)`,
    ],
    ['env', listed(pairs(shed.env))],
    ['labels', listed(pairs(shed.labels))],
  ])
}

function describeSource({ chunk_index_digest, unverified }: NonNullable<Shed['lazy']>): string {
  if (unverified !== true) return `yes (chunk index ${shortDigest(chunk_index_digest)})`
  return `yes, and UNVERIFIED until all of it is here (${shortDigest(chunk_index_digest)})`
}

function mountOf({ volume, path, read_only }: Shed['volumes'][number]): string {
  return printable(`${volume}→${path}${read_only ? ' (read-only)' : ''}`)
}

function when(iso: string): string {
  return `${iso} (${relativeTime(iso)})`
}

function pairs(record: Readonly<Record<string, string>>): string[] {
  return Object.entries(record).map(([key, value]) => printable(`${key}=${value}`))
}

function listed(items: readonly string[]): string | undefined {
  return items.length === 0 ? undefined : items.join('  ')
}
