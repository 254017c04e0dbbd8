import { randomBytes } from 'node:crypto'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isProblem, newId, Problem, parseDigest } from '../../base/index.ts'
import type { CreateShedRequest } from '../../contract/index.ts'
import { installDirectory, openStaging } from '../../host/index.ts'
import { currentKernel } from '../../machines/index.ts'
import { stageRecord } from '../../state/index.ts'
import { checkFits } from '../admission/host-limits.ts'
import type { ShedsContext } from '../context.ts'
import type { RecordedLazy } from '../lazy-lowers.ts'
import { runFromMemory } from '../memory/run-from-memory.ts'
import type { CutMemory } from '../memory/stored-memory.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { checkSecrets } from '../secrets/secret-values.ts'
import { withSecretsInMemory } from '../secrets/secrets-in-memory.ts'
import { createDisk, diskPath, ensureSource, tellClone } from '../shed-disk.ts'
import type { LongWork } from '../sheds.ts'
import { checkNotReplaced, type LoadedSnapshot } from '../snapshots/load-snapshot.ts'
import { memoryToGoOnFrom } from '../snapshots/memory-of-snapshot.ts'
import { refuseForkOfFailed } from '../unverified-lowers.ts'
import { endVm } from '../vm/end-vm.ts'
import { runShed } from '../vm/run-shed.ts'
import { checkMounts } from '../volumes/check-mounts.ts'
import { holdVolumes } from '../volumes/hold-volumes.ts'
import { dropNewVolumes, keepNewVolumes, makeVolumes, refuseExistingVolumes } from '../volumes/new-volumes.ts'
import { type VolumesOfNew, volumesFromSnapshot } from '../volumes/volumes-from-snapshot.ts'
import { findImage, findSnapshot, type ImageOfShed } from './find-source.ts'
import { matchShed } from './match-shed.ts'
import { dropCreated } from './remove-shed.ts'
import { type ShedSettings, shedSettings } from './shed-settings.ts'

export interface CreateShed {
  readonly request: CreateShedRequest
  readonly existing: ShedRecord | undefined
  readonly work: LongWork
  /** What it is a fork of, cut already, instead of a snapshot that is named; the caller holds its image. */
  readonly fork?: ForkSource | undefined
}

export interface ForkSource {
  readonly snapshot: LoadedSnapshot
  /** Left out, the fork boots. */
  readonly memory: CutMemory | undefined
  /** How its lower is read, when that is not all here. */
  readonly lazy: RecordedLazy | undefined
}

/**
 * Makes a shed, inside its transition. @see Sheds.create
 *
 * @param existing the settled shed of that name, if there is one
 */
export async function createShed(
  context: ShedsContext,
  { request, existing, work, fork }: CreateShed,
): Promise<{ record: ShedRecord; outcome: 'created' | 'unchanged' }> {
  if (existing !== undefined) return { record: matchShed(existing, request), outcome: 'unchanged' }
  using held = fork === undefined ? await findSnapshot(context, request) : undefined
  const snapshot = fork?.snapshot ?? held
  const settings = shedSettings(request, snapshot?.record)
  // Until its VM has it mapped, nobody may take it away.
  using goesOn = fork === undefined ? await memoryToGoOnFrom(context, snapshot, request) : undefined
  const memory = fork === undefined ? goesOn : fork.memory
  checkFits(context.limits, { ...settings, name: request.name })
  using _place = request.start ? await context.admission.admit({ ...settings, name: request.name }) : undefined
  // Without a kernel it could not boot, after minutes of building its lower.
  if (request.start) await currentKernel(context.layout)
  const volumes = volumesFromSnapshot(request, snapshot)
  await checkMounts(context, { shed: request.name, mounts: volumes.found })
  await refuseExistingVolumes(context, volumes.made)
  await checkSecrets(context, request.secrets)
  const found: ImageOfShed =
    snapshot === undefined ? await findImage(context, request, work) : { ...snapshot.record, lazy: fork?.lazy }
  const { image } = found
  // From here to the record that pins it, nothing may take the image away. Of a snapshot's, if there is one here, that is seen to already.
  using _hold = snapshot === undefined ? context.images.hold(parseDigest(image.manifest_digest)) : undefined
  const origin = originOf(snapshot, { isFork: fork !== undefined })
  const had = memory === undefined ? [] : (snapshot?.record.secrets_in_memory ?? [])
  const record = newRecord(request, { found, settings, origin, volumes, had })
  // A root filesystem of its own that was cut needs nothing of its image any more.
  if (snapshot === undefined || record.rootfs === 'erofs') await ensureSource(context, record, work)
  const check = async () => {
    if (held !== undefined) await checkNotReplaced(context, held.record)
  }
  await installWithVolumes(context, { record, snapshot, volumes, check, work })
  context.events.append({ type: 'shed.created', subject: record.name, message: `shed ${record.name} is created` })
  const made = request.start ? await firstRun(context, record, { memory, check, work }) : record
  await keepNewVolumes(context, made)
  return { record: made, outcome: 'created' }
}

interface NewRecord {
  readonly found: ImageOfShed
  readonly settings: ShedSettings
  readonly origin: Origin
  readonly volumes: VolumesOfNew
  /** Secrets in the memory that it goes on from. */
  readonly had: readonly string[]
}

/** What a shed was made from. */
type Origin = Pick<ShedRecord, 'snapshot' | 'forked_from'>

function originOf(snapshot: LoadedSnapshot | undefined, { isFork }: { readonly isFork: boolean }): Origin {
  if (snapshot === undefined) return {}
  const { name, id, shed } = snapshot.record
  return isFork ? { forked_from: shed } : { snapshot: { name, id } }
}

function newRecord(request: CreateShedRequest, { found, settings, origin, volumes, had }: NewRecord): ShedRecord {
  const { image, lazy, defaults } = found
  const given = new Set(request.secrets.map(({ secret }) => secret))
  const now = new Date().toISOString()
  return {
    version: 1,
    name: request.name,
    id: newId(),
    machine_id: randomBytes(16).toString('hex'),
    status: request.start ? 'creating' : 'stopped',
    image,
    ...(lazy === undefined ? {} : { lazy }),
    ...origin,
    ...settings,
    volumes: volumes.mounts,
    secrets: request.secrets,
    ...withSecretsInMemory(had.filter((secret) => !given.has(secret))),
    ...(request.thermal === undefined ? {} : { thermal: request.thermal }),
    defaults,
    forwards: [],
    disk_generation: 0,
    created_at: now,
    changed_at: now,
  }
}

interface InstallShed {
  readonly record: ShedRecord
  readonly snapshot: LoadedSnapshot | undefined
  readonly volumes: VolumesOfNew
  /** Whether all that was copied was the snapshot's. */
  readonly check: () => Promise<void>
  readonly work: LongWork
}

/** Its new volumes come first: whoever finds the shed finds them. */
async function installWithVolumes(context: ShedsContext, install: InstallShed): Promise<void> {
  const { record, volumes } = install
  try {
    await makeVolumes(context, record, volumes.made)
    await installShed(context, install)
  } catch (error) {
    await dropNewVolumes(context, record)
    throw error
  }
}

/** Everything is made in staging; one rename makes the shed. */
async function installShed(context: ShedsContext, { record, snapshot, check, work }: InstallShed): Promise<void> {
  const { layout } = context
  await using staging = await openStaging(layout, `create-${record.name}`)
  const made = layout.shed(record.name)
  const inStaging = (path: string) => join(staging.path, path.slice(made.dir.length + 1))
  const disk = diskPath(layout, record)
  const clone = await createDisk(context, { record, snapshot, to: inStaging(disk), work })
  await check()
  await stageRecord(inStaging(made.record), record)
  const { name: shed, volumes: mounts } = record
  const volumes = mounts.map(({ volume }) => volume)
  await holdVolumes(context, volumes, async () => {
    // Somebody else may have been given one of them meanwhile.
    await checkMounts(context, { shed, mounts })
    await installDirectory({ from: staging.path, to: made.dir })
  })
  tellClone(context, record, clone)
}

interface FirstRun {
  readonly memory: CutMemory | undefined
  readonly check: () => Promise<void>
  readonly work: LongWork
}

async function firstRun(
  context: ShedsContext,
  record: ShedRecord,
  { memory, check, work }: FirstRun,
): Promise<ShedRecord> {
  try {
    await refuseForkOfFailed(context, record)
    return await (memory === undefined
      ? runShed(context, record, { work })
      : runFromMemory(context, record, { memory, check, work }))
  } catch (error) {
    // Of a create that was cancelled, or had no space, nobody asks what its guest said.
    const kept = isProblem(error, 'BOOT_FAILED') ? await keepConsole(context, record) : undefined
    await endVm(context, record.name)
    await dropCreated(context, record)
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
