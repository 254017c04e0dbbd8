import { Option } from 'commander'
import { Problem, parseName, printable } from '../../base/index.ts'
import type { CreateShedReply, OwnThermalSettings, PullPolicy, SecretUse, VolumeMount } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'
import type { DefineCommand } from '../define-command.ts'
import { collectPairs } from '../options/collect-pairs.ts'
import {
  coldAfterText,
  type IdleOptions,
  idleRequest,
  idleTime,
  keepHotText,
  warmAfterText,
} from '../options/idle-options.ts'
import { failAfterOf, fillOf, type LazyOptions, lazyRequest } from '../options/lazy-options.ts'
import {
  cpusOf,
  iopsOf,
  ioReadOf,
  ioWriteOf,
  type LimitOptions,
  limitsRequest,
  memoryOf,
  upperSizeOf,
} from '../options/limit-options.ts'
import { collectSecrets } from '../options/secret-use.ts'
import { snapshotName } from '../options/snapshot-names.ts'
import { collectVolumes } from '../options/volume-mount.ts'
import { forkLines } from './fork.ts'

interface Options extends IdleOptions, LazyOptions, LimitOptions {
  readonly image?: string
  readonly fromSnapshot?: string
  readonly from?: string
  readonly rootfs?: 'erofs' | 'ext4'
  readonly net?: 'user' | 'none'
  readonly env?: Record<string, string>
  readonly label?: Record<string, string>
  readonly volume?: VolumeMount[]
  readonly snapshotVolumes: boolean
  readonly volumeName?: Record<string, string>
  readonly coldBoot?: boolean
  readonly withSecrets?: boolean
  readonly secret?: SecretUse[]
  readonly start: boolean
  readonly pull?: PullPolicy
  readonly trace?: string
}

export const create: DefineCommand = (command, run) => {
  command
    .argument('<name>', 'its name: 1 to 63 of a-z, 0-9 and -', (text) => parseName(text, 'shed name'))
    .option('--image <ref>', 'the image that it is made from')
    .option(
      '--from-snapshot <snapshot>',
      'make it from a snapshot instead: its disk, its memory if that is there, and its settings where nothing is said',
      snapshotName,
    )
    .option('--from <shed>', 'make it a fork of a shed, as `cowshed fork` does', (text) => parseName(text, 'shed name'))
    .option('--with-secrets', 'with --from: also when secrets may be in the memory of that')
    .option('--no-snapshot-volumes', 'without the volumes that are in the snapshot')
    .option(
      '--volume-name <volume=name>',
      'what the new volume is called that is made of one in the snapshot (NAME-VOLUME); may be repeated',
      collectPairs('--volume-name'),
    )
    .option('--cold-boot', 'boot it from the disk that is in the snapshot, whatever is there of its memory')
    .option('--cpus <n>', 'virtual CPUs (1)', cpusOf)
    .option('--memory <size>', 'memory (512MiB)', memoryOf)
    .option(
      '--upper-size <size>',
      'how much it can write to its disk, or with --rootfs ext4 the size of all of it; what is not written takes no space (5GiB)',
      upperSizeOf,
    )
    .addOption(
      new Option(
        '--rootfs <kind>',
        'its disk: what it writes, over the image that all share; or a whole root filesystem of its own (erofs)',
      ).choices(['erofs', 'ext4']),
    )
    .option('--io-read <rate>', 'how much all its disks may read a second, like 50MB/s', ioReadOf)
    .option('--io-write <rate>', 'how much they may write a second', ioWriteOf)
    .option('--iops <n>', 'how often they may read or write a second', iopsOf)
    .addOption(new Option('--net <mode>', 'outbound network, or none (user)').choices(['user', 'none']))
    .option('--env <K=V>', 'environment of what runs in it; may be repeated', collectPairs('--env'))
    .option('--label <K=V>', 'a label; may be repeated', collectPairs('--label'))
    .option('--volume <name:path[:ro]>', 'a volume and where it is in the guest; may be repeated', collectVolumes)
    .option(
      '--secret <name[:as]>',
      'a secret that it is given: NAME or NAME:VARIABLE in the environment, NAME:/path as a file; may be repeated',
      collectSecrets,
    )
    .option('--warm-after <duration>', warmAfterText, idleTime)
    .option('--cold-after <duration>', coldAfterText, idleTime)
    .option('--keep-hot', keepHotText)
    .addOption(
      new Option(
        '--pull <policy>',
        'an image that is not here: pull it whole; lazy: fetch it as it is read, which needs one that was published, or is one erofs image: that is unverified until all of it is here; or never (whole, unless config.toml says lazy)',
      ).choices(['whole', 'lazy', 'never']),
    )
    .option(
      '--trace <name>',
      'of an image that is fetched as it is read: the boot trace to fetch ahead by, which is recorded when there is none of that name (boot)',
    )
    .option(
      '--fill [rate]',
      'with --pull lazy: fetch the rest behind what is read, so much of it a second at most (20MB/s) or as fast as it goes; or never',
      fillOf,
    )
    .option(
      '--fail-after <duration>',
      'with --pull lazy: a read fails when nothing has come from the registry for so long (60s), or never',
      failAfterOf,
    )
    .option('--no-start', 'do not start it')
    .action(
      run(async (cli, name: string, options: Options) => {
        const { image, fromSnapshot, from } = options
        if ([image, fromSnapshot, from].filter((source) => source !== undefined).length !== 1) throw oneSource
        if (from !== undefined) return await createFork(cli, name, { ...options, from })
        const reply = await cli.withProgress((onProgress) =>
          cli.api.call('createShed', { body: requestOf(name, options), onProgress }),
        )
        if (reply.shed.lazy?.unverified === true) cli.notice(unverifiedWarning(reply.shed))
        if (cli.json) cli.printJson(reply)
        else cli.print(`${outcome(reply)}\n`)
      }),
    )
}

const oneSource = new Problem('INVALID_REQUEST', 'a shed is made from an image, a snapshot or another shed', {
  hint: 'say which: --image REF, --from-snapshot NAME or --from SHED',
})

/** A fork is what the other shed is. */
async function createFork(cli: Cli, name: string, options: Options & { readonly from: string }): Promise<void> {
  const { from, coldBoot, withSecrets, start, snapshotVolumes, ...others } = options
  if (!start || !snapshotVolumes || Object.keys(others).length > 0) {
    throw new Problem('INVALID_REQUEST', `what is made from the shed ${from} is what that is, and runs`, {
      hint: `with --from only --cold-boot and --with-secrets can be said; for another one take a snapshot first: cowshed snapshot create ${from} NAME`,
    })
  }
  const body = {
    name,
    ...(coldBoot === true ? { cold_boot: true } : {}),
    ...(withSecrets === true ? { with_secrets: true } : {}),
  }
  const made = await cli.withProgress((onProgress) =>
    cli.api.call('forkShed', { params: { name: from }, body, onProgress }),
  )
  if (cli.json) cli.printJson(made)
  else cli.print(forkLines(from, made))
}

function requestOf(name: string, options: Options) {
  const { image, fromSnapshot, rootfs, net, env, label, volume, secret, start, pull, trace } = options
  const lazy = lazyRequest(options)
  return {
    name,
    start,
    ...(image === undefined ? {} : { image }),
    ...(fromSnapshot === undefined ? {} : { from_snapshot: fromSnapshot }),
    ...limitsRequest(options),
    ...(rootfs === undefined ? {} : { rootfs }),
    ...(net === undefined ? {} : { network: net }),
    ...(env === undefined ? {} : { env }),
    ...(label === undefined ? {} : { labels: label }),
    ...(volume === undefined ? {} : { volumes: volume }),
    ...(options.snapshotVolumes ? {} : { snapshot_volumes: false }),
    ...(options.volumeName === undefined ? {} : { volume_names: options.volumeName }),
    ...(options.coldBoot === true ? { cold_boot: true } : {}),
    ...(secret === undefined ? {} : { secrets: secret }),
    ...(pull === undefined ? {} : { pull }),
    ...(trace === undefined ? {} : { trace }),
    ...(lazy === undefined ? {} : { lazy }),
    ...thermalOf(options),
  }
}

/** What is left to config.toml is not said at all. */
function thermalOf(options: IdleOptions): { readonly thermal?: OwnThermalSettings } {
  const said = Object.entries(idleRequest(options)).filter(([, value]) => value !== null)
  return said.length === 0 ? {} : { thermal: Object.fromEntries(said) }
}

function unverifiedWarning({ name, image: { ref } }: CreateShedReply['shed']): string {
  return (
    `WARNING: ${printable(ref)} is one erofs image without a chunk index: nothing that ${name} reads is verified before all of it is here. The rest is fetched while ${name} runs. ` +
    `When it is not what its digest says, ${name} is ended and fails; give it no secrets until then. How far it is: cowshed inspect ${name}. ` +
    'An image that is verified from the first byte: cowshed image publish'
  )
}

function outcome({ shed: { name, status }, outcome }: CreateShedReply): string {
  return outcome === 'unchanged' ? `${name} unchanged (${status})` : `${name} created (${status})`
}
