import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { isProblem, Problem } from '../../base/index.ts'
import { type RunToolOptions, runTool } from '../../host/index.ts'
import { type BuildJob, commonOptions, maxBuildMs } from './build-job.ts'

/**
 * In namespaces of its own and tied to this process: whatever ends it, a cancelled request or a daemon that is killed, the kernel ends every
 * process of the build with it, and with them go their mounts.
 */
const inOwnNamespaces = [
  ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--ipc', '--uts'],
  ...['--fork', '--kill-child=KILL', '--mount-proc', '--', 'buildah'],
]

/**
 * Builds with buildah, without a daemon, as root. Its storage is in the job's staging and nowhere else: neither is anything of the user's
 * containers touched nor does anything stay.
 *
 * @returns the layout directory with the image
 * @throws Problem TOOL_FAILED with what buildah said last, NO_SPACE, CANCELLED
 */
export async function buildWithBuildah(job: BuildJob): Promise<string> {
  const { staging, context, bases, sourceDateEpoch } = job
  const buildah = await prepare(job)
  const idFile = join(staging, 'image-id')
  await buildah([
    'bud',
    // It needs no runtime, no network bridge and no privileges beyond root's.
    '--isolation=chroot',
    '--format=oci',
    // A layer for each step, as Docker makes them: what comes early in two Dockerfiles is one layer.
    '--layers',
    `--iidfile=${idFile}`,
    ...commonOptions(job),
    ...(sourceDateEpoch === undefined ? [] : [`--timestamp=${sourceDateEpoch}`]),
    ...bases.map(
      ({ written, layout, ref }) =>
        `--build-context=${written}=container-image://oci:${relative(staging, layout)}:${ref}`,
    ),
    context,
  ])
  const built = join(staging, 'built')
  const id = (await readFile(idFile, 'utf8')).trim()
  await buildah([
    `--signature-policy=${join(staging, 'policy.json')}`,
    'push',
    '--quiet',
    '--format=oci',
    id,
    `oci:${built}:built`,
  ])
  return built
}

/** @returns how to run it */
async function prepare({ staging, onLine, signal }: BuildJob): Promise<(args: readonly string[]) => Promise<void>> {
  const driver = (await canOverlay(staging)) ? 'overlay' : 'vfs'
  await mkdir(join(staging, 'tmp'))
  // Settings of the user's own storage, further stores above all, have no place here.
  await writeFile(join(staging, 'storage.conf'), `[storage]\ndriver = "${driver}"\n`)
  // What we have just built ourselves needs no signature; what a build pulls is under the policy of the host.
  await writeFile(join(staging, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}')
  const options: RunToolOptions = {
    timeoutMs: maxBuildMs,
    // buildah makes a name of the path to a base, and names have no capitals: so the path is a short one.
    cwd: staging,
    onLine,
    env: {
      CONTAINERS_STORAGE_CONF: join(staging, 'storage.conf'),
      STORAGE_DRIVER: undefined,
      STORAGE_OPTS: undefined,
      TMPDIR: join(staging, 'tmp'),
    },
    ...(signal && { signal }),
  }
  const storage = [
    `--root=${join(staging, 'storage')}`,
    `--runroot=${join(staging, 'run')}`,
    `--storage-driver=${driver}`,
  ]
  return async (args) => {
    try {
      await runTool('setpriv', [...inOwnNamespaces, ...storage, ...args], options)
    } catch (error) {
      if (!isProblem(error)) throw error
      // It is buildah that failed, not what it was started with.
      throw new Problem(error.code, error.message.replace(/^setpriv/, 'buildah'), { cause: error })
    }
  }
}

/** By doing it, where nobody sees it: an overlay over an overlay, as containers have it for a root, does not work everywhere. */
async function canOverlay(staging: string): Promise<boolean> {
  const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(staging, 'probe', name))
  for (const directory of [lower, upper, work, merged]) await mkdir(directory ?? '', { recursive: true })
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`
  try {
    await runTool('unshare', ['--mount', 'mount', '-t', 'overlay', 'overlay', '-o', options, merged ?? ''])
    return true
  } catch (error) {
    if (isProblem(error)) return false
    throw error
  }
}
