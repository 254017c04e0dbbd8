import { formatSize, parseName, printable, shortDigest } from '../../base/index.ts'
import type { Shed } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { details } from '../terminal/table.ts'

export const inspect: DefineCommand = (command, run) => {
  command
    .argument('<shed>', 'its name', (text) => parseName(text, 'shed name'))
    .action(
      run(async (cli, name: string) => {
        const shed = await cli.api.call('getShed', { params: { name } })
        if (cli.json) cli.printJson(shed)
        else cli.print(describe(shed))
      }),
    )
}

function describe(shed: Shed): string {
  return details([
    ['name', printable(shed.name)],
    ['id', shed.id],
    ['status', shed.status],
    ['reason', shed.status_reason === undefined ? undefined : printable(shed.status_reason)],
    ['image', printable(shed.image.ref)],
    ['manifest', shortDigest(shed.image.manifest_digest)],
    ['cpus', String(shed.cpus)],
    ['memory', formatSize(shed.memory_bytes)],
    [shed.rootfs === 'ext4' ? 'rootfs' : 'upper', formatSize(shed.upper_bytes)],
    ['network', shed.network],
    ['backend', [shed.backend, shed.acceleration].filter((part) => part !== undefined).join(', ')],
    ['pid', shed.pid === undefined ? undefined : String(shed.pid)],
    ['created', when(shed.created_at)],
    ['changed', when(shed.changed_at)],
    ['started', shed.started_at === undefined ? undefined : when(shed.started_at)],
    ['forwards', listed(shed.forwards.map(({ host_port, guest_port }) => `127.0.0.1:${host_port}→${guest_port}`))],
    ['env', listed(pairs(shed.env))],
    ['labels', listed(pairs(shed.labels))],
  ])
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
