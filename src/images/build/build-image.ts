import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { isProblem, Problem, problemFromSystem } from '../../base/index.ts'
import type { ImageSummary } from '../../contract/index.ts'
import { openStaging, readSmallFile } from '../../host/index.ts'
import { parseTag } from '../find-image.ts'
import type { ImagesContext } from '../images-context.ts'
import { loadImages } from '../load/load-images.ts'
import type { LongWork } from '../long-work.ts'
import type { BuildSettings } from './build-job.ts'
import { dockerfileBases } from './dockerfile-bases.ts'
import { findBuilder } from './find-builder.ts'
import { keepBaseLayers } from './keep-base-layers.ts'
import { offerBases } from './offer-bases.ts'

export interface BuildRequest extends BuildSettings, LongWork {
  /** What to call it; the name of the context's directory when left out. */
  readonly tag?: string | undefined
}

const maxDockerfileBytes = 2 ** 20

/**
 * Builds an image of a Dockerfile with a builder of this host, and takes it into the store as a load does. Images of the store that it is built
 * from come from the store, whatever registries say. Everything that the builder makes on the way is in staging, and goes with it.
 *
 * What the builder prints is told as it comes, in the phase `build`.
 * @see docs/decisions/0030-how-images-are-built.md
 * @throws Problem TOOL_NOT_FOUND, TOOL_FAILED, FILE_NOT_FOUND, INVALID_REQUEST, CANCELLED, NO_SPACE, and whatever a load throws
 */
export async function buildImage(context: ImagesContext, request: BuildRequest): Promise<ImageSummary[]> {
  const { onProgress, signal, buildArgs } = request
  const tag = parseTag(request.tag ?? nameAfter(request.context))
  checkValues(request)
  await requireDirectory(request.context)
  const { path: dockerfile, text } = await readDockerfile(request)
  const build = await findBuilder()
  await using staging = await openStaging(context.layout, 'build')
  using offered = await offerBases(context, dockerfileBases(text, buildArgs), join(staging.path, 'bases'))
  const onLine = (message: string) => onProgress?.({ phase: 'build', done: 0, message })
  const path = await build({ ...request, dockerfile, staging: staging.path, bases: offered.bases, onLine })
  if ((await stat(path)).isDirectory()) await keepBaseLayers(path, offered.layers)
  return await loadImages(context, { source: { path }, tag, onProgress, signal })
}

function nameAfter(directory: string): string {
  const name = basename(directory).toLowerCase()
  try {
    return parseTag(name)
  } catch (error) {
    if (!isProblem(error)) throw error
    throw new Problem('INVALID_REQUEST', `the image needs a name: its directory's, ${JSON.stringify(name)}, is none`, {
      hint: 'say what to call it: -t NAME:TAG',
    })
  }
}

/** Nothing of these can be taken for something else, by the builder or by a terminal that shows its command line. */
function checkValues({ buildArgs, target, platform }: BuildRequest): void {
  for (const [key, value] of Object.entries(buildArgs)) {
    if (!/^[A-Za-z_]\w*$/.test(key)) throw invalid(`no name of a build argument: ${JSON.stringify(key)}`)
    if (value.includes('\0')) throw invalid(`the build argument ${key} holds a NUL`)
  }
  if (target !== undefined && !/^\w[\w.-]*$/.test(target))
    throw invalid(`no name of a stage: ${JSON.stringify(target)}`)
  if (platform !== undefined && !/^[a-z0-9]+\/[a-z0-9]+(\/[a-z0-9.]+)?$/.test(platform)) {
    throw invalid(`no platform: ${JSON.stringify(platform)}; one is linux/amd64`)
  }
}

async function requireDirectory(path: string): Promise<void> {
  try {
    if ((await stat(path)).isDirectory()) return
  } catch (error) {
    throw problemFromSystem(error, `build ${path}`)
  }
  throw new Problem('INVALID_REQUEST', `${path} is no directory`, {
    hint: 'give the directory of the Dockerfile; an archive that was built elsewhere: --from-oci-archive FILE',
  })
}

async function readDockerfile({ context, dockerfile }: BuildRequest): Promise<{ path: string; text: string }> {
  const candidates =
    dockerfile === undefined ? ['Dockerfile', 'Containerfile'].map((name) => join(context, name)) : [dockerfile]
  for (const path of candidates) {
    const text = await readText(path)
    if (text !== undefined) return { path, text }
  }
  throw new Problem('FILE_NOT_FOUND', `there is no ${candidates.join(' and no ')}`, {
    hint: 'say where it is: -f FILE',
  })
}

async function readText(path: string): Promise<string | undefined> {
  try {
    if (!(await stat(path)).isFile()) throw new Problem('INVALID_REQUEST', `${path} is no file`)
    const bytes = await readSmallFile(path, { maxBytes: maxDockerfileBytes })
    if (bytes.length > maxDockerfileBytes) throw new Problem('LIMIT_EXCEEDED', `${path} has more than 1 MiB`)
    return bytes.toString('utf8')
  } catch (error) {
    const problem = isProblem(error) ? error : problemFromSystem(error, `read ${path}`)
    if (problem.code === 'FILE_NOT_FOUND') return undefined
    throw problem
  }
}

function invalid(message: string): Problem {
  return new Problem('INVALID_REQUEST', message)
}
