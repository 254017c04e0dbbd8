import { mkdir } from 'node:fs/promises'
import { isName, isProblem, Problem, parseName } from '../base/index.ts'
import type { Shed } from '../contract/index.ts'
import type { ShedsContext, ShedsOptions } from './context.ts'
import { createShed } from './create-shed.ts'
import { execInShed } from './exec-in-shed.ts'
import { addForward, removeForward } from './forwards.ts'
import { listImageUsers } from './list-image-users.ts'
import { loadAllSheds, loadShed } from './load-shed.ts'
import { noteExit } from './note-exit.ts'
import { observedRecord } from './observed-record.ts'
import { recoverSheds } from './recover-sheds.ts'
import { removeShed } from './remove-shed.ts'
import { resetShed } from './reset-shed.ts'
import { settleShed } from './settle-shed.ts'
import { brokenShed, type ShedRecord, shedNotFound, shedNotRunning, shedOfRecord } from './shed-record.ts'
import type { LongWork, Sheds } from './sheds.ts'
import { startShed } from './start-shed.ts'
import { stopShed } from './stop-shed.ts'
import { Transitions } from './transitions.ts'

/** How long a caller waits for an earlier transition of the same shed: longer than any boot. */
const transitionWaitMs = 180_000

/** How long the end of the daemon waits for transitions: longer than a VMM takes to start, after which all of them give up. */
const closePatienceMs = 30_000

/** Opens the sheds of a data directory: what the last daemon left is settled first. One daemon per data directory: the caller holds its lock. */
export async function openSheds(options: ShedsOptions): Promise<Sheds> {
  const context: ShedsContext = {
    ...options,
    live: new Map(),
    transitions: new Transitions(transitionWaitMs),
    noteExit: (name) => void noteExit(context, name),
  }
  await mkdir(options.layout.sheds, { recursive: true, mode: 0o700 })
  await recoverSheds(context)

  const view = async (record: ShedRecord): Promise<Shed> => {
    const live = context.live.get(record.name)
    const machine = live?.exit === undefined ? live?.machine.record : undefined
    return shedOfRecord(await observedRecord(context, record), {
      backend: context.driver.name,
      acceleration: machine?.acceleration,
      pid: machine?.pid,
    })
  }
  /** Runs a verb on a shed that exists and is at rest, alone. */
  const alone = async <T>(name: string, verb: (record: ShedRecord) => Promise<T>): Promise<T> => {
    checkName(name)
    return await context.transitions.run(name, async () => verb(await loadSettled(context, name)))
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
    async list() {
      const all = await loadAllSheds(context)
      return await Promise.all(
        all.map(({ name, record, problem }) =>
          problem === undefined ? view(record) : brokenShed(name, problem, context.driver.name),
        ),
      )
    },
    start: async (name, given = {}) =>
      await cancellable(given, async (work) => view(await alone(name, (record) => startShed(context, record, work)))),
    stop: async (name, { timeout_ms }) => view(await alone(name, (record) => stopShed(context, record, timeout_ms))),
    async remove(name, { force }, condition) {
      checkName(name)
      await context.transitions.run(name, async () => {
        // What goes by force need not be at rest, nor even readable.
        const record = force ? await loadShed(context, name).catch(unlessBroken) : await loadSettled(context, name)
        if (condition !== undefined && record?.changed_at !== condition.ifUnchangedSince) throw shedHasChanged(name)
        await removeShed(context, { name, record, force })
      })
    },
    reset: async (name, given = {}) =>
      await cancellable(given, async (work) => view(await alone(name, (record) => resetShed(context, record, work)))),
    async agent(name) {
      await loadNamed(context, name)
      const live = context.live.get(name)
      if (live === undefined) throw shedNotRunning(name)
      return await live.agent()
    },
    async exec(name, request) {
      checkName(name)
      return await execInShed(context, name, request)
    },
    addForward: async (name, request) => await alone(name, (record) => addForward(context, record, request)),
    removeForward: async (name, hostPort) => await alone(name, (record) => removeForward(context, record, hostPort)),
    async consolePath(name) {
      await loadNamed(context, name)
      return context.layout.shed(name).console
    },
    imageUsers: async () => await listImageUsers(context),
    async release() {
      await context.transitions.close(closePatienceMs)
      for (const live of context.live.values()) live.release()
      context.live.clear()
    },
  }
}

/** @throws Problem SHED_NOT_FOUND, also when what was left of it is removed now; SHED_BROKEN; and whatever keeps it from being settled */
async function loadSettled(context: ShedsContext, name: string): Promise<ShedRecord> {
  const record = await settleShed(context, await loadShed(context, name))
  if (record === undefined) throw shedNotFound(name)
  return record
}

function unlessNotFound(error: unknown): undefined {
  if (!isProblem(error, 'SHED_NOT_FOUND')) throw error
}

function unlessBroken(error: unknown): undefined {
  if (!isProblem(error, 'SHED_BROKEN')) throw error
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

/** A name that no shed can have is a name that no shed has; it never becomes a path. */
function checkName(name: string): void {
  if (!isName(name)) throw shedNotFound(name)
}
