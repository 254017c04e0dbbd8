import { inParallel, isProblem, Problem, parseDigest, parseName } from '../../base/index.ts'
import type { CreateShedRequest, ForkShedRequest } from '../../contract/index.ts'
import { removeVolume } from '../../disks/index.ts'
import { fileStatus, openStaging } from '../../host/index.ts'
import type { Alone, ShedsContext } from '../context.ts'
import type { RecordedLazy } from '../lazy-lowers.ts'
import type { CutMemory } from '../memory/stored-memory.ts'
import { refuseFailed } from '../records/refuse-failed.ts'
import { isDown, type ShedRecord } from '../records/shed-record.ts'
import type { LongWork } from '../sheds.ts'
import { type Cut, cutShed } from '../snapshots/cut-shed.ts'
import { stagedSnapshot } from '../snapshots/load-snapshot.ts'
import { endVm } from '../vm/end-vm.ts'
import { refuseExistingVolumes } from '../volumes/new-volumes.ts'
import { volumesFromSnapshot } from '../volumes/volumes-from-snapshot.ts'
import { createShed, type ForkSource } from './create-shed.ts'
import { deleteShed } from './remove-shed.ts'

export interface ForkShed {
  readonly source: string
  readonly alone: Alone
  readonly work: LongWork
}

export interface Forked {
  readonly records: ShedRecord[]
  readonly pauseMs: number | undefined
}

/**
 * Makes running copies of a shed. Its own transition is over when it is cut; each of the forks has one of its own. They are begun with while RAM is copied still,
 * and go on when that is done.
 *
 * What is cut is a snapshot in staging. All forks have the RAM in it mapped and none of them writes to it, so it is unlinked when they run, and goes with the last
 * of them, whatever becomes of us: docs/decisions/0123-forks.md. @see Sheds.fork
 */
export async function forkShed(
  context: ShedsContext,
  request: ForkShedRequest,
  { source, alone, work }: ForkShed,
): Promise<Forked> {
  const names = namesOf(request)
  await using staging = await openStaging(context.layout, `fork-${source}`)
  const held: Disposable[] = []
  let forking: Promise<ShedRecord[]> | undefined
  try {
    const { pause_ms: pauseMs } = await alone(source, async (shed) => {
      refuseFailed(context, shed)
      const template = templateOf(shed, request)
      for (const name of names) await refuseTaken(context, name)
      for (const name of names) await refuseTakenVolumes(context, { name, shed, template })
      // Also when the shed itself goes, once it is cut.
      held.push(context.images.hold(parseDigest(shed.image.manifest_digest)))
      for (const name of names) held.push(await context.admission.admit({ name, memory_bytes: shed.memory_bytes }))
      const [name = source] = names
      const asked = { name, memory: goesOn(shed, request), with_secrets: request.with_secrets }
      const onCut = ({ record, memory }: Cut) => {
        const snapshot = stagedSnapshot(context.layout, record, staging.path)
        forking = forkAll(context, names, { cut: { snapshot, memory, lazy: lazyOfFork(shed, memory) }, template, work })
        forking.catch(() => undefined)
      }
      return await cutShed(context, shed, { request: asked, directory: staging.path, onCut })
    })
    const records = (await forking) ?? []
    const message = `${source} is forked: ${names.join(', ')}`
    context.events.append({ type: 'shed.forked', subject: source, message, data: { forks: names } })
    return { records, pauseMs }
  } catch (error) {
    // A cut that failed at its very end may have forks that run.
    const made = (await forking?.catch(() => undefined)) ?? []
    await removeForks(context, made)
    throw error
  } finally {
    for (const place of held) place[Symbol.dispose]()
  }
}

function namesOf({ name, count }: ForkShedRequest): string[] {
  const all = count === undefined ? [name] : Array.from({ length: count }, (_, at) => `${name}-${at + 1}`)
  return all.map((each) => parseName(each, 'name for a shed'))
}

/** How forks read their lower: as their shed does, unless what is in their memory was cut over the whole of it. */
function lazyOfFork({ lazy }: ShedRecord, memory: CutMemory | undefined): RecordedLazy | undefined {
  const isWhole = memory?.record.lowers.some((mark) => 'head_sha256' in mark) === true
  return isWhole ? undefined : lazy
}

/** Whether anything is in its memory that a fork can go on from. */
function goesOn(shed: ShedRecord, { cold_boot: coldBoot }: ForkShedRequest): boolean {
  return coldBoot !== true && !isDown(shed)
}

type Template = Omit<CreateShedRequest, 'name'>

/** What all of them are made as; the rest is as it was cut. */
function templateOf({ secrets, thermal }: ShedRecord, request: ForkShedRequest): Template {
  return {
    volumes: [],
    secrets: request.with_secrets === true ? secrets : [],
    ...(thermal === undefined ? {} : { thermal }),
    ...(request.cold_boot === undefined ? {} : { cold_boot: request.cold_boot }),
    start: true,
    pull: 'never',
  }
}

/** @throws Problem SHED_ALREADY_EXISTS */
async function refuseTaken({ layout }: ShedsContext, name: string): Promise<void> {
  if ((await fileStatus(layout.shed(name).dir)) === undefined) return
  throw new Problem('SHED_ALREADY_EXISTS', `there is a shed ${name} already`, {
    hint: `choose another name, or remove it first: cowshed delete ${name}`,
  })
}

interface ToMake {
  readonly name: string
  readonly shed: ShedRecord
  readonly template: Template
}

/** @throws Problem VOLUME_ALREADY_EXISTS; INVALID_REQUEST for a name that is too long for that of a volume */
async function refuseTakenVolumes(context: ShedsContext, { name, shed, template }: ToMake): Promise<void> {
  const { made } = volumesFromSnapshot({ ...template, name }, { record: { ...shed, shed }, volumePath: () => '' })
  await refuseExistingVolumes(context, made)
}

interface ForkAll {
  readonly cut: ForkSource
  readonly template: Template
  readonly work: LongWork
}

/** As many at a time as the host has processors. When one cannot be, none is. */
async function forkAll(context: ShedsContext, names: readonly string[], fork: ForkAll): Promise<ShedRecord[]> {
  const made = new Map<string, ShedRecord>()
  try {
    await inParallel(names, context.limits.cpus, async (name) => {
      made.set(name, await forkOne(context, name, fork))
      fork.work.onProgress?.({ phase: 'fork', item: name, done: made.size, total: names.length })
    })
  } catch (error) {
    const left = await removeForks(context, [...made.values()])
    throw names.length === 1 ? error : withCount(error, { wanted: names.length, left })
  }
  return names.flatMap((name) => made.get(name) ?? [])
}

interface Count {
  readonly wanted: number
  /** The names of those that could not be removed again. */
  readonly left: readonly string[]
}

/** Why one of many could not be, and how many are there. */
function withCount(error: unknown, { wanted, left }: Count): unknown {
  if (!isProblem(error)) return error
  const there = left.length === 0 ? 'none is there' : `${left.length} could not be removed again (${left.join(', ')})`
  return new Problem(error.code, `of ${wanted} forks ${there}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    cause: error,
    data: { ...error.data, forks: left },
  })
}

async function forkOne(context: ShedsContext, name: string, { cut, template, work }: ForkAll): Promise<ShedRecord> {
  return await context.transitions.run(name, async () => {
    await refuseTaken(context, name)
    const { signal } = work
    if (signal?.aborted) throw new Problem('CANCELLED', 'the fork was stopped on request', { cause: signal.reason })
    const request = { ...template, name }
    return (await createShed(context, { request, existing: undefined, work: { signal }, fork: cut })).record
  })
}

/** @returns the names of those that could not be removed */
async function removeForks(context: ShedsContext, forks: readonly ShedRecord[]): Promise<string[]> {
  const left: string[] = []
  for (const record of forks) {
    await removeFork(context, record).catch((why: unknown) => {
      // It is a shed like any other; the first failure is the one to tell.
      left.push(record.name)
      context.events.append({ type: 'shed.unsettled', subject: record.name, message: String(why) })
    })
  }
  return left
}

/** Nobody was told of it. */
async function removeFork(context: ShedsContext, { name, volumes }: ShedRecord): Promise<void> {
  await context.transitions.run(name, async () => {
    await endVm(context, name)
    await deleteShed(context, name)
    for (const { volume, read_only } of volumes) if (!read_only) await removeVolume(context.layout, volume)
  })
}
