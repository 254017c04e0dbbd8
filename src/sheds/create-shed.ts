import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { isProblem, newId, Problem } from '../base/index.ts'
import type { CreateShedRequest } from '../contract/index.ts'
import { installDirectory, openStaging } from '../host/index.ts'
import type { ResolvedImage } from '../images/index.ts'
import { currentKernel } from '../machines/index.ts'
import { encodeRecord } from '../state/index.ts'
import type { ShedsContext } from './context.ts'
import { endVm } from './end-vm.ts'
import { deleteShed } from './remove-shed.ts'
import { runShed } from './run-shed.ts'
import { createDisk, diskPath, ensureSource } from './shed-disk.ts'
import type { ShedRecord } from './shed-record.ts'
import type { LongWork } from './sheds.ts'

export interface CreateShed {
  readonly request: CreateShedRequest
  readonly existing: ShedRecord | undefined
  readonly work: LongWork
}

/**
 * Makes a shed, inside its transition. @see Sheds.create
 *
 * @param existing the settled shed of that name, if there is one
 */
export async function createShed(
  context: ShedsContext,
  { request, existing, work }: CreateShed,
): Promise<{ record: ShedRecord; outcome: 'created' | 'unchanged' }> {
  if (existing !== undefined) return { record: matching(existing, request), outcome: 'unchanged' }
  // Without a kernel it could not boot, after minutes of building its lower.
  if (request.start) await currentKernel(context.layout)
  const image = await findImage(context, request, work)
  // From here to the record that pins it, nothing may take the image away.
  using _hold = context.images.hold(image.manifestDigest)
  const record = newRecord(request, image)
  await ensureSource(context, record, work)
  await installShed(context, record, work)
  context.events.append({ type: 'shed.created', subject: record.name, message: `shed ${record.name} is created` })
  if (!request.start) return { record, outcome: 'created' }
  return { record: await firstBoot(context, record, work), outcome: 'created' }
}

async function findImage(
  { images, events }: ShedsContext,
  { image: ref, pull }: CreateShedRequest,
  work: LongWork,
): Promise<ResolvedImage> {
  if (pull === 'never') return await images.resolve(ref)
  const { image, pulled } = await images.obtain(ref, work)
  if (pulled !== undefined) events.append({ type: 'image.pulled', subject: ref, message: `${ref} is pulled` })
  return image
}

/** A shed of that name is there: the same one as asked for, or a conflict. */
function matching(existing: ShedRecord, request: CreateShedRequest): ShedRecord {
  const settings = {
    image: [existing.image.ref, request.image],
    cpus: [existing.cpus, request.cpus],
    memory: [existing.memory_bytes, request.memory_bytes],
    'upper size': [existing.upper_bytes, request.upper_bytes],
    rootfs: [existing.rootfs, request.rootfs],
    network: [existing.network, request.network],
    env: [existing.env, request.env],
    labels: [existing.labels, request.labels],
  }
  const differing = Object.entries(settings).filter(([, [has, wanted]]) => !isDeepStrictEqual(has, wanted))
  if (differing.length === 0) return existing
  throw new Problem(
    'SHED_ALREADY_EXISTS',
    `there is a shed ${existing.name} already, with another ${differing.map(([setting]) => setting).join(', ')}`,
    { hint: `choose another name, or remove it first: cowshed delete ${existing.name}` },
  )
}

function newRecord(request: CreateShedRequest, image: ResolvedImage): ShedRecord {
  const now = new Date().toISOString()
  return {
    version: 1,
    name: request.name,
    id: newId(),
    machine_id: randomBytes(16).toString('hex'),
    status: request.start ? 'creating' : 'stopped',
    image: { ref: request.image, manifest_digest: image.manifestDigest },
    cpus: request.cpus,
    memory_bytes: request.memory_bytes,
    upper_bytes: request.upper_bytes,
    rootfs: request.rootfs,
    network: request.network,
    env: request.env,
    labels: request.labels,
    defaults: { env: environmentOf(image.runtime.env), cwd: image.runtime.workingDir, user: image.runtime.user },
    forwards: [],
    created_at: now,
    changed_at: now,
  }
}

/** `KEY=value` words of an image's config as a record; a word without `=` is none. */
function environmentOf(words: readonly string[]): Record<string, string> {
  const pairs = words.filter((word) => word.indexOf('=') > 0)
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}

/** Everything is made in staging; one rename makes the shed. */
async function installShed(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<void> {
  const { layout } = context
  await using staging = await openStaging(layout, `create-${record.name}`)
  const made = layout.shed(record.name)
  const inStaging = (path: string) => join(staging.path, path.slice(made.dir.length + 1))
  const disk = diskPath(layout, record)
  const clone = await createDisk(context, { record, to: inStaging(disk), work })
  await writeFile(inStaging(made.record), encodeRecord(record), { mode: 0o600 })
  await installDirectory({ from: staging.path, to: made.dir })
  context.events.append({
    type: 'disk.cloned',
    subject: record.name,
    message: `rootfs strategy=${clone.strategy} src=${clone.source} dst=${disk} logical_bytes=${clone.logicalBytes}`,
  })
}

async function firstBoot(context: ShedsContext, record: ShedRecord, work: LongWork): Promise<ShedRecord> {
  try {
    return await runShed(context, record, work)
  } catch (error) {
    // Of a create that was cancelled, or had no space, nobody asks what its guest said.
    const kept = isProblem(error, 'BOOT_FAILED') ? await keepConsole(context, record) : undefined
    await endVm(context, record.name)
    await deleteShed(context, record.name)
    throw isProblem(error) && kept !== undefined ? withConsole(error, kept) : error
  }
}

/** The console of a create that failed outlives the shed: without it nobody could tell why. @returns its path, if there was one */
async function keepConsole({ layout }: ShedsContext, record: ShedRecord): Promise<string | undefined> {
  const kept = layout.failureConsole(record.name, record.id)
  try {
    await mkdir(layout.failures, { recursive: true, mode: 0o700 })
    await copyFile(layout.shed(record.name).console, kept)
    return kept
  } catch {
    // No console, or no space for it: the problem at hand is the one to tell.
    return undefined
  }
}

function withConsole(problem: Problem, path: string): Problem {
  const hint = `${problem.hint ?? ''}\nthe whole console is kept: ${path}`.trimStart()
  return new Problem(problem.code, problem.message, { hint, cause: problem, data: { ...problem.data, console: path } })
}
