import { mkdir } from 'node:fs/promises'
import { isName, isProblem, Problem, parseName } from '../base/index.ts'
import type { Shed } from '../contract/index.ts'
import { type Pin, type PinSet, refusePinned } from '../state/index.ts'
import { Admission } from './admission/admission.ts'
import { knownPins, type ShedsContext, type ShedsOptions } from './context.ts'
import { addForward, removeForward } from './forwards/forwards.ts'
import { passOn } from './forwards/pass-on.ts'
import { Ports } from './forwards/ports.ts'
import { attachmentOf } from './lazy-lowers.ts'
import { loadSettled, loadToStop } from './load-settled.ts'
import { MemoryCompressor } from './memory/memory-compressor.ts'
import { memoryOnDisk } from './memory/memory-on-disk.ts'
import { RamFiles } from './memory/ram-files.ts'
import { listImageUsers } from './records/list-image-users.ts'
import { loadAllSheds, loadShed } from './records/load-shed.ts'
import { observedRecord } from './records/observed-record.ts'
import { brokenShed, type ShedRecord, shedNotFound } from './records/shed-record.ts'
import { shedViews } from './records/shed-views.ts'
import { recoverSheds } from './recover-sheds.ts'
import { openShedSecrets } from './secrets/open-shed-secrets.ts'
import type { LongWork, Sheds } from './sheds.ts'
import { openSnapshots } from './snapshots/open-snapshots.ts'
import { Cooler } from './thermal/cooler.ts'
import { useShed } from './thermal/use-shed.ts'
import { Uses } from './thermal/uses.ts'
import { Transitions } from './transitions.ts'
import { failSheds, lowerIsRight } from './unverified-lowers.ts'
import { attachVolume, detachVolume } from './verbs/attach-volume.ts'
import { createShed } from './verbs/create-shed.ts'
import { forkShed } from './verbs/fork-shed.ts'
import { giveSecret, takeSecret } from './verbs/give-secret.ts'
import { pauseShed } from './verbs/pause-shed.ts'
import { protectShed } from './verbs/protect-shed.ts'
import { removeShed } from './verbs/remove-shed.ts'
import { resetShed } from './verbs/reset-shed.ts'
import { setLimits } from './verbs/set-limits.ts'
import { setThermal } from './verbs/set-thermal.ts'
import { sleepShed } from './verbs/sleep-shed.ts'
import { startShed } from './verbs/start-shed.ts'
import { stopShed } from './verbs/stop-shed.ts'
import { trimShed } from './verbs/trim-shed.ts'
import { wakeShed } from './verbs/wake-shed.ts'
import { checkExecRequest, execInShed } from './vm/exec-in-shed.ts'
import { noteExit } from './vm/note-exit.ts'
import { openVolumes } from './volumes/open-volumes.ts'

/** How long a caller waits for an earlier transition of the same shed: longer than any boot. */
const transitionWaitMs = 180_000

function volumeIsBusy(name: string): Problem {
  return new Problem('VOLUME_IN_USE', `the volume ${name} is in the middle of another change`, {
    hint: 'see what there is: cowshed volume ls',
  })
}

function snapshotIsBusy(name: string): Problem {
  return new Problem('SNAPSHOT_BUSY', `the memory of the snapshot ${name} is being inflated, or it is being removed`, {
    hint: `try again in a moment; see what there is: cowshed snapshot info ${name}`,
  })
}

/** How long the end of the daemon waits for transitions: longer than a VMM takes to start, after which all of them give up. */
const closePatienceMs = 30_000

/** Opens the sheds of a data directory: what the last daemon left is settled first. One daemon per data directory: the caller holds its lock. */
export async function openSheds(options: ShedsOptions): Promise<Sheds> {
  const context: ShedsContext = {
    ...options,
    live: new Map(),
    transitions: new Transitions(transitionWaitMs),
    volumeTurns: new Transitions(transitionWaitMs, volumeIsBusy),
    snapshotTurns: new Transitions(transitionWaitMs, snapshotIsBusy),
    known: new Map(),
    uses: new Uses(),
    snapshotUses: new Uses(),
    wakes: new Map(),
    ram: new RamFiles(options),
    ports: new Ports({ events: options.events, passOn: async (...connection) => await passOn(context, ...connection) }),
    get admission() {
      return admission
    },
    noteExit: (name) => void noteExit(context, name),
  }
  const admission = new Admission(context)
  await mkdir(options.layout.sheds, { recursive: true, mode: 0o700 })
  await recoverSheds(context)
  const cooler = new Cooler(context)
  const compressor = new MemoryCompressor(context)

  const show = shedViews(context.idle)
  const view = async (record: ShedRecord, known?: PinSet): Promise<Shed> => {
    const pins = known ?? (await knownPins(context))
    const live = context.live.get(record.name)
    const machine = live?.exit === undefined ? live?.machine.record : undefined
    const observed = await observedRecord(context, record)
    return show(observed, {
      memoryOnDisk: observed.status === 'cold' ? await memoryOnDisk(context, record.name) : undefined,
      backend: context.driver.name,
      acceleration: machine?.acceleration,
      pid: machine?.pid,
      isProtected: pins.has(pinOf(record.name)),
      progress: observed.lazy && context.lazyLowers.progress(attachmentOf(observed.lazy)),
      idleSince: machine && context.uses.idle(record.name)?.since,
    })
  }
  const broken = (name: string, problem: Problem) => brokenShed(name, problem, context.driver.name)
  /** Runs a verb on a shed that exists and is at rest, alone. */
  const alone = async <T>(name: string, verb: (record: ShedRecord) => Promise<T>, load = loadSettled): Promise<T> => {
    checkName(name)
    return await context.transitions.run(name, async () => verb(await load(context, name)))
  }
  /** As `alone`, for work that its caller or the end of the daemon can cancel. */
  const cancellable = async <T>(work: LongWork, verb: (work: LongWork) => Promise<T>): Promise<T> => {
    using signal = eitherSignal(context.transitions.closing, work.signal)
    return await verb({ ...work, signal: signal.signal })
  }

  return {
    create: async (request, given = {}) =>
      await cancellable(given, async (work) => {
        parseName(request.name, 'name for a shed')
        const { record, outcome } = await context.transitions.run(request.name, async () => {
          const existing = await loadSettled(context, request.name).catch(unlessNotFound)
          return await createShed(context, { request, existing, work })
        })
        return { shed: await view(record), outcome }
      }),
    async get(name) {
      return await view(await loadNamed(context, name))
    },
    async list(seen) {
      const [all, pins] = await Promise.all([loadAllSheds({ ...context, seen }), knownPins(context)])
      return await Promise.all(
        all.map(({ name, record, problem }) => (problem === undefined ? view(record, pins) : broken(name, problem))),
      )
    },
    async start(name, { coldBoot, ...given } = {}) {
      return await cancellable(given, async (work) =>
        view(await alone(name, (record) => startShed(context, record, { ...work, coldBoot }))),
      )
    },
    async stop(name, { timeout_ms, keep_memory: isToSleep }) {
      const sleep = (record: ShedRecord) => context.uses.whileCooling(name, () => sleepShed(context, record))
      if (isToSleep === true) return await view(await alone(name, sleep))
      return await view(await alone(name, (record) => stopShed(context, record, timeout_ms), loadToStop))
    },
    async pause(name) {
      const verb = (record: ShedRecord) => context.uses.whileCooling(name, () => pauseShed(context, record))
      return await view(await alone(name, verb))
    },
    wake: async (name, given = {}) =>
      await cancellable(given, async (work) => view(await alone(name, (record) => wakeShed(context, record, work)))),
    async remove(name, { force }, condition) {
      checkName(name)
      await context.transitions.run(name, async () => {
        // What goes by force need not be at rest, nor even readable.
        const record = force ? await loadShed(context, name).catch(unlessBroken) : await loadSettled(context, name)
        await refusePinned(context.pins, pinOf(name), name)
        if (condition !== undefined && record?.changed_at !== condition.ifUnchangedSince) throw shedHasChanged(name)
        await removeShed(context, { name, record, force })
      })
    },
    async protect(name, isProtected) {
      checkName(name)
      return await context.transitions.run(name, async () => {
        // Also one whose record cannot be used: it could not be removed otherwise.
        const found = await loadShed(context, name).catch(orBroken)
        await protectShed(context, name, isProtected)
        return isProblem(found) ? broken(name, found) : await view(found)
      })
    },
    fork: async (name, request, given = {}) =>
      await cancellable(given, async (work) => {
        const { records, pauseMs } = await forkShed(context, request, { source: name, alone, work })
        const sheds = await Promise.all(records.map((record) => view(record)))
        return { sheds, ...(pauseMs === undefined ? {} : { pause_ms: pauseMs }) }
      }),
    reset: async (name, given = {}) =>
      await cancellable(given, async (work) => view(await alone(name, (record) => resetShed(context, record, work)))),
    trim: async (name, options) => await alone(name, (record) => trimShed(context, record, options)),
    setLimits: async (name, request) => view(await alone(name, (record) => setLimits(context, record, request))),
    set: async (name, request) => view(await alone(name, (record) => setThermal(context, record, request))),
    async useAgent(name) {
      checkName(name)
      const use = await useShed(context, name)
      try {
        return { agent: await use.live.agent(), [Symbol.dispose]: () => use[Symbol.dispose]() }
      } catch (error) {
        use[Symbol.dispose]()
        throw error
      }
    },
    async exec(name, request) {
      checkName(name)
      checkExecRequest(name, request)
      return await execInShed(context, name, request)
    },
    addForward: async (name, request) => await alone(name, (record) => addForward(context, record, request)),
    removeForward: async (name, hostPort) => await alone(name, (record) => removeForward(context, record, hostPort)),
    async consolePath(name) {
      await loadNamed(context, name)
      return context.layout.shed(name).console
    },
    async whileConsoleRests(name, work) {
      checkName(name)
      // No VM of it begins or ends meanwhile. One whose record cannot be used has a console, too.
      return await context.transitions.run(name, async () => {
        const live = context.live.get(name)
        if (live === undefined) return work()
        const done = await live.machine.whileStill(() => ({ result: work() }))
        if (done === undefined) throw notStill(name)
        return done.result
      })
    },
    attachVolume: async (name, mount) => view(await alone(name, (record) => attachVolume(context, record, mount))),
    detachVolume: async (name, volume) => view(await alone(name, (record) => detachVolume(context, record, volume))),
    occupants: async () => await context.admission.occupants(),
    volumes: openVolumes(context),
    snapshots: openSnapshots(context, alone),
    giveSecret: async (name, use) => view(await alone(name, (record) => giveSecret(context, record, use))),
    takeSecret: async (name, secret) => view(await alone(name, (record) => takeSecret(context, record, secret))),
    secrets: openShedSecrets(context),
    lowerIsRight: (chunkIndex) => lowerIsRight(context, chunkIndex),
    failSheds: (chunkIndex, why) => failSheds(context, chunkIndex, why),
    imageUsers: async () => await listImageUsers(context),
    async release() {
      cooler[Symbol.dispose]()
      const compressed = compressor[Symbol.asyncDispose]()
      context.ports.end()
      await context.transitions.close(closePatienceMs)
      await context.snapshotTurns.close(closePatienceMs)
      await compressed
      await context.volumeTurns.close(closePatienceMs)
      for (const live of context.live.values()) live.release()
      context.live.clear()
    },
  }
}

function pinOf(name: string): Pin {
  return { kind: 'shed', id: name }
}

function unlessNotFound(error: unknown): undefined {
  if (!isProblem(error, 'SHED_NOT_FOUND')) throw error
}

function unlessBroken(error: unknown): undefined {
  if (!isProblem(error, 'SHED_BROKEN')) throw error
}

function orBroken(error: unknown): Problem {
  if (!isProblem(error, 'SHED_BROKEN')) throw error
  return error
}

/** Aborts with either of two; once it is disposed of, neither knows of it any more: one of them lives as long as the daemon. */
function eitherSignal(one: AbortSignal, other: AbortSignal | undefined): Disposable & { readonly signal: AbortSignal } {
  const either = new AbortController()
  const done = new AbortController()
  for (const signal of other === undefined ? [one] : [one, other]) {
    const abort = () => either.abort(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true, signal: done.signal })
  }
  return { signal: either.signal, [Symbol.dispose]: () => done.abort() }
}

async function loadNamed(context: ShedsContext, name: string): Promise<ShedRecord> {
  checkName(name)
  return await loadShed(context, name)
}

function shedHasChanged(name: string): Problem {
  return new Problem('PLAN_CHANGED', `the shed ${name} has changed since the plan was made`)
}

function notStill(name: string): Problem {
  return new Problem('SHED_BUSY', `the VMM of ${name} could not be held still: it waits for a disk`, {
    hint: 'try again in a moment',
  })
}

/** A name that no shed can have is a name that no shed has; it never becomes a path. */
function checkName(name: string): void {
  if (!isName(name)) throw shedNotFound(name)
}
