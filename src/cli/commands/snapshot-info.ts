import { formatSize, printable, shortDigest } from '../../base/index.ts'
import type { SnapshotDetail, SnapshotVolume } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { snapshotName } from '../options/snapshot-names.ts'
import { relativeTime } from '../terminal/relative-time.ts'
import { details } from '../terminal/table.ts'

export const snapshotInfo: DefineCommand = (command, run) => {
  command.argument('<snapshot>', 'its name', snapshotName).action(
    run(async (cli, snapshot: string) => {
      const found = await cli.api.call('getSnapshot', { params: { snapshot } })
      if (cli.json) cli.printJson(found)
      else if (found.status === 'broken') showBroken(cli, found)
      else cli.print(describe(found))
    }),
  )
}

/** Nothing else is known of it. */
function showBroken(cli: Cli, snapshot: SnapshotDetail): void {
  const { name, status, status_reason: reason = '' } = snapshot
  cli.print(
    details([['name', printable(name)], ['status', status], ['reason', printable(reason)], protection(snapshot)]),
  )
  cli.notice(`put back what is missing, or remove what is left of it: cowshed snapshot rm --force ${printable(name)}`)
}

type Row = Parameters<typeof details>[0][number]

function protection({ name, protected: isProtected }: SnapshotDetail): Row {
  return ['protected', isProtected === true ? `yes (cowshed snapshot unprotect ${name})` : undefined]
}

function describe(snapshot: SnapshotDetail): string {
  const { shed, image, rootfs, created_at, pause_ms, memory } = snapshot
  return details([
    ['name', printable(snapshot.name)],
    ['id', snapshot.id],
    ['status', snapshot.status],
    ['comment', snapshot.comment === undefined ? undefined : printable(snapshot.comment)],
    protection(snapshot),
    ['shed', printable(`${shed.name} (${shed.id})`)],
    ['made from', snapshot.parent === undefined ? undefined : printable(snapshot.parent)],
    ['fork of', snapshot.forked_from === undefined ? undefined : printable(snapshot.forked_from.name)],
    ['image', printable(image.ref)],
    ['manifest', shortDigest(image.manifest_digest)],
    [
      'lower',
      snapshot.lower_hint === undefined ? snapshot.lower : `${snapshot.lower}: ${printable(snapshot.lower_hint)}`,
    ],
    [rootfs === 'ext4' ? 'rootfs' : 'upper', formatSize(snapshot.bytes)],
    ['on disk', formatSize(snapshot.physical_bytes)],
    ['volumes', snapshot.volumes.length === 0 ? undefined : snapshot.volumes.map(volumeOf(snapshot)).join('  ')],
    [
      'memory',
      memory &&
        `${formatSize(memory.bytes)} (${formatSize(memory.physical_bytes)} on disk${memory.compressed === true ? ', compressed' : ''})`,
    ],
    [
      'secrets',
      snapshot.secrets_in_memory && `${snapshot.secrets_in_memory.map(printable).join('  ')} (in its memory)`,
    ],
    ['paused', pause_ms === undefined ? undefined : `${pause_ms} ms`],
    ['taken', `${created_at} (${relativeTime(created_at)})`],
    ['imported', snapshot.imported_at && `${snapshot.imported_at} (${relativeTime(snapshot.imported_at)})`],
    ['sheds', snapshot.sheds.length === 0 ? undefined : snapshot.sheds.map(printable).join('  ')],
  ])
}

function volumeOf({ missing_volumes }: SnapshotDetail): (mount: SnapshotVolume) => string {
  return ({ volume, path, bytes }) => {
    const what = missing_volumes.includes(volume) ? 'read-only, not here' : 'read-only'
    return printable(`${volume}→${path} (${bytes === undefined ? what : formatSize(bytes)})`)
  }
}
