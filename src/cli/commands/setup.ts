import { printable } from '../../base/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { absolutePath } from '../options/absolute-path.ts'
import { details } from '../terminal/table.ts'

interface Options {
  readonly kernel?: string
  readonly modules?: string
}

export const setup: DefineCommand = (command, run) => {
  command
    .option('--kernel <file>', 'a kernel of your own: bzImage or uncompressed')
    .option('--modules <dir>', 'its /lib/modules/<release>')
    .action(
      run(async (cli, { kernel, modules }: Options) => {
        const body = {
          ...(kernel === undefined ? {} : { kernel: absolutePath(cli, kernel) }),
          ...(modules === undefined ? {} : { modules: absolutePath(cli, modules) }),
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

/** The first thing that was said of a reason that quotes what a program said; `cowshed doctor` shows all of it. */
export function inShort(reason: string): string {
  const [first = ''] = reason.split(' | ')
  return first.replaceAll(/qemu-system-\S+: (?:error: )?/g, '')
}
