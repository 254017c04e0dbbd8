import { join } from 'node:path'
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
  await runTool('docker', buildxArguments(job, built), { timeoutMs: maxBuildMs, onLine, ...(signal && { signal }) })
  return built
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
