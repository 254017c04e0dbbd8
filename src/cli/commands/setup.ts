import { formatSize, Problem, parseSize, printable } from '../../base/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { serverPath } from '../options/server-path.ts'
import { details } from '../terminal/table.ts'

interface Options {
  readonly kernel?: string
  readonly modules?: string
  readonly btrfs?: number
  readonly fstab?: boolean
  readonly systemd?: boolean
}

export const setup: DefineCommand = (command, run) => {
  command
    .option('--kernel <file>', 'a kernel of your own: bzImage or uncompressed')
    .option('--modules <dir>', 'its /lib/modules/<release>')
    .option(
      '--btrfs <size>',
      'instead of a kernel: put the data directory onto a compressed btrfs in a file beside it, or make that one larger; as root, before anything is in it',
      parseSize,
    )
    .option('--fstab', 'with --btrfs: have it mounted at boot by /etc/fstab')
    .option('--systemd', 'with --btrfs: have it mounted at boot by a unit of systemd')
    .action(
      run(async (cli, { kernel, modules, ...filesystem }: Options) => {
        if (wantsFilesystem(filesystem)) return await setUpFilesystem(cli, filesystem)
        const body = {
          ...(kernel === undefined ? {} : { kernel: await serverPath(cli, kernel) }),
          ...(modules === undefined ? {} : { modules: await serverPath(cli, modules) }),
        }
        const reply = await cli.withProgress((onProgress) => cli.api.call('setUp', { body, onProgress }))
        if (cli.json) return cli.printJson(reply)
        cli.print(
          details([
            ['kernel', `${printable(reply.release)} (${reply.outcome})`],
            ['id', reply.kernel_id],
            ['acceleration', `${reply.acceleration}: ${printable(inShort(reply.acceleration_reason))}`],
          ]),
        )
        if (reply.acceleration === 'tcg')
          cli.notice('sheds work, several times slower than with KVM; more: cowshed doctor')
        cli.notice('next: cowshed image load IMAGE.tar, then: cowshed create NAME --image REF')
      }),
    )
}

type FilesystemOptions = Pick<Options, 'btrfs' | 'fstab' | 'systemd'>

function wantsFilesystem({ btrfs, fstab, systemd }: FilesystemOptions): boolean {
  return btrfs !== undefined || fstab === true || systemd === true
}

async function setUpFilesystem(cli: Cli, { btrfs: bytes, fstab, systemd }: FilesystemOptions): Promise<void> {
  const { server } = await cli.connection()
  if (server !== undefined) {
    throw new Problem('INVALID_REQUEST', `a filesystem is made on the host itself, and ${server.name} is another`, {
      hint: 'run it there; here: cowshed -s local setup --btrfs SIZE',
    })
  }
  if (bytes === undefined || (fstab === true && systemd === true)) {
    throw new Problem('INVALID_REQUEST', '--fstab or --systemd is about a filesystem that --btrfs SIZE makes', {
      hint: 'like: cowshed setup --btrfs 50GB --fstab',
    })
  }
  const boot = fstab === true ? 'fstab' : 'systemd'
  const atBoot = fstab === true || systemd === true ? boot : undefined
  const reply = await cli.setUpBtrfs({ dataDirectory: cli.layout.root, bytes, atBoot })
  if (cli.json) return cli.printJson(reply)
  cli.print(
    details([
      ['data directory', `${printable(reply.data_directory)} (btrfs, ${reply.outcome})`],
      ['file', `${printable(reply.file)} (${formatSize(reply.bytes)}, of which what is used takes space)`],
      ['at boot', reply.boot_entry === undefined ? undefined : printable(reply.boot_entry)],
    ]),
  )
  if (systemd === true && reply.boot_entry !== undefined) {
    const unit = reply.boot_entry.slice(reply.boot_entry.lastIndexOf('/') + 1)
    cli.notice(`next: systemctl daemon-reload && systemctl enable '${unit}'`)
  } else if (atBoot === undefined)
    cli.notice('not mounted after the next boot, but by this command; or add --fstab or --systemd')
}

/** The first thing that was said of a reason that quotes what a program said; `cowshed doctor` shows all of it. */
export function inShort(reason: string): string {
  const [first = ''] = reason.split(' | ')
  return first.replaceAll(/qemu-system-\S+: (?:error: )?/g, '')
}
