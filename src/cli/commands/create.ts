import { Option } from 'commander'
import { parseName } from '../../base/index.ts'
import { type CreateShedReply, type PullPolicy, smallestMemoryBytes, smallestUpperBytes } from '../../contract/index.ts'
import type { DefineCommand } from '../define-command.ts'
import { collectPairs } from '../options/collect-pairs.ts'
import { sizeAtLeast } from '../options/size-at-least.ts'
import { wholeNumber } from '../options/whole-number.ts'

interface Options {
  readonly image: string
  readonly cpus?: number
  readonly memory?: number
  readonly upperSize?: number
  readonly rootfs?: 'erofs' | 'ext4'
  readonly net?: 'user' | 'none'
  readonly env?: Record<string, string>
  readonly label?: Record<string, string>
  readonly start: boolean
  readonly pull?: PullPolicy
}

export const create: DefineCommand = (command, run) => {
  command
    .argument('<name>', 'its name: 1 to 63 of a-z, 0-9 and -', (text) => parseName(text, 'shed name'))
    .requiredOption('--image <ref>', 'the image that it is made from')
    .option('--cpus <n>', 'virtual CPUs (1)', wholeNumber('--cpus', { min: 1, max: 64 }))
    .option('--memory <size>', 'memory (512MiB)', sizeAtLeast('--memory', smallestMemoryBytes))
    .option(
      '--upper-size <size>',
      'how much it can write to its disk, or with --rootfs ext4 the size of all of it; what is not written takes no space (5GiB)',
      sizeAtLeast('--upper-size', smallestUpperBytes),
    )
    .addOption(
      new Option(
        '--rootfs <kind>',
        'its disk: what it writes, over the image that all share; or a whole root filesystem of its own (erofs)',
      ).choices(['erofs', 'ext4']),
    )
    .addOption(new Option('--net <mode>', 'outbound network, or none (user)').choices(['user', 'none']))
    .option('--env <K=V>', 'environment of what runs in it; may be repeated', collectPairs('--env'))
    .option('--label <K=V>', 'a label; may be repeated', collectPairs('--label'))
    .addOption(
      new Option('--pull <policy>', 'an image that is not here: pull it whole, or never (whole)').choices([
        'whole',
        'never',
      ]),
    )
    .option('--no-start', 'do not start it')
    .action(
      run(async (cli, name: string, options: Options) => {
        const reply = await cli.withProgress((onProgress) =>
          cli.api.call('createShed', { body: requestOf(name, options), onProgress }),
        )
        if (cli.json) cli.printJson(reply)
        else cli.print(`${outcome(reply)}\n`)
      }),
    )
}

function requestOf(name: string, { image, cpus, memory, upperSize, rootfs, net, env, label, start, pull }: Options) {
  return {
    name,
    image,
    start,
    ...(cpus === undefined ? {} : { cpus }),
    ...(memory === undefined ? {} : { memory_bytes: memory }),
    ...(upperSize === undefined ? {} : { upper_bytes: upperSize }),
    ...(rootfs === undefined ? {} : { rootfs }),
    ...(net === undefined ? {} : { network: net }),
    ...(env === undefined ? {} : { env }),
    ...(label === undefined ? {} : { labels: label }),
    ...(pull === undefined ? {} : { pull }),
  }
}

function outcome({ shed: { name, status }, outcome }: CreateShedReply): string {
  return outcome === 'unchanged' ? `${name} unchanged (${status})` : `${name} created (${status})`
}
