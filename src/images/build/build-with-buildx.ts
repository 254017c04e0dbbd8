import { join } from 'node:path'
import { isProblem, Problem } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import { type BuildJob, commonOptions, maxBuildMs } from './build-job.ts'

/**
 * Builds with Docker's builder; its cache stays where it keeps it.
 *
 * @returns the OCI archive with the image
 * @throws Problem TOOL_FAILED with what it said last, NO_SPACE, CANCELLED
 */
export async function buildWithBuildx(job: BuildJob): Promise<string> {
  const built = join(job.staging, 'built.tar')
  const { onLine, signal } = job
  try {
    await runTool('docker', buildxArguments(job, built), { timeoutMs: maxBuildMs, onLine, ...(signal && { signal }) })
    return built
  } catch (error) {
    throw withHint(error)
  }
}

/** What docker says when it is Docker that lacks something, and what to do about it. */
const lacks = [
  [
    /exporter is not supported for the docker driver/i,
    'make a builder that can write archives: docker buildx create --use',
  ],
  [
    /cannot connect to the docker daemon|permission denied while trying to connect/i,
    'is Docker running, and may the daemon of cowshed use it?',
  ],
] as const

function withHint(error: unknown): unknown {
  if (!isProblem(error, 'TOOL_FAILED')) return error
  const [, hint] = lacks.find(([said]) => said.test(error.message)) ?? []
  if (hint === undefined) return error
  return new Problem(error.code, error.message, {
    hint: `${hint}; or build with buildah, as root: apt install buildah`,
    cause: error,
    ...(error.data && { data: error.data }),
  })
}

export function buildxArguments(job: BuildJob, built: string): string[] {
  const rewrite = job.sourceDateEpoch === undefined ? '' : ',rewrite-timestamp=true'
  return [
    'buildx',
    'build',
    `--output=type=oci,dest=${built}${rewrite}`,
    '--progress=plain',
    // Says when it was built, and so would differ each time.
    '--provenance=false',
    ...commonOptions(job),
    ...job.bases.map(({ written, layout, ref }) => `--build-context=${written}=oci-layout://${layout}:${ref}`),
    job.context,
  ]
}
