import { isProblem, Problem } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import type { BuildJob } from './build-job.ts'
import { buildWithBuildah } from './build-with-buildah.ts'
import { buildWithBuildx } from './build-with-buildx.ts'

export type Build = (job: BuildJob) => Promise<string>

/**
 * How this host can build images: with buildah as root, else with Docker's buildx.
 *
 * @throws Problem TOOL_NOT_FOUND with the package to install; PERMISSION_DENIED where only root could
 */
export async function findBuilder(uid: number | undefined = process.geteuid?.()): Promise<Build> {
  const hasBuildah = await answers('buildah', ['--version'])
  if (hasBuildah && uid === 0) return buildWithBuildah
  if (await answers('docker', ['buildx', 'version'])) return buildWithBuildx
  if (!hasBuildah) {
    throw new Problem(
      'TOOL_NOT_FOUND',
      'no program that builds images is installed: neither buildah nor docker buildx',
      {
        hint: 'run: apt install buildah; or build it elsewhere: cowshed image build --from-oci-archive FILE -t NAME',
        data: { command: 'buildah' },
      },
    )
  }
  throw new Problem('PERMISSION_DENIED', 'a daemon that is not root cannot build with buildah', {
    hint: 'buildah build -t oci-archive:FILE CONTEXT, then cowshed image build --from-oci-archive FILE -t NAME',
  })
}

async function answers(command: string, args: readonly string[]): Promise<boolean> {
  try {
    await runTool(command, args)
    return true
  } catch (error) {
    if (isProblem(error)) return false
    throw error
  }
}
