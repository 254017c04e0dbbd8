import { mkdir } from 'node:fs/promises'
import { Problem, parseDigest, parseName } from '../base/index.ts'
import type { Shed } from '../contract/index.ts'
import type { ImageUser } from '../images/index.ts'
import { loadAllSheds, loadShed, type ShedsContext, type ShedsOptions } from './context.ts'
import { createShed } from './create-shed.ts'
import { execInShed } from './exec-in-shed.ts'
import { addForward, removeForward, shedNotRunning } from './forwards.ts'
import { recoverSheds } from './recover-sheds.ts'
import { removeShed } from './remove-shed.ts'
import { resetShed } from './reset-shed.ts'
import { brokenShed, type ShedRecord, shedNotFound, shedOfRecord } from './shed-record.ts'
import type { Sheds } from './sheds.ts'
import { startShed } from './start-shed.ts'
import { stopShed } from './stop-shed.ts'
import { Transitions } from './transitions.ts'

/** How long a caller waits for an earlier transition of the same shed: longer than any boot. */
const transitionWaitMs = 180_000

/** Opens the sheds of a data directory: what the last daemon left is settled first. One daemon per data directory: the caller holds its lock. */
export async function openSheds(options: ShedsOptions): Promise<Sheds> {
  const context: ShedsContext = { ...options, live: new Map(), transitions: new Transitions(transitionWaitMs) }
  await mkdir(options.layout.sheds, { recursive: true, mode: 0o700 })
  await recoverSheds(context)

  const view = (record: ShedRecord): Shed => {
    const machine = context.live.get(record.name)?.machine.record
    return shedOfRecord(record, {
      backend: context.driver.name,
      acceleration: machine?.acceleration,
      pid: machine?.pid,
    })
  }
  /** Runs a verb on a shed that exists, alone. */
  const alone = async <T>(name: string, verb: (record: ShedRecord) => Promise<T>): Promise<T> => {
    checkName(name)
    return await context.transitions.run(name, async () => verb(await loadShed(context, name)))
  }

  return {
    async create(request, work = {}) {
      parseName(request.name, 'name for a shed')
      const { record, outcome } = await context.transitions.run(request.name, () => createShed(context, request, work))
      return { shed: view(record), outcome }
    },
    async get(name) {
      checkName(name)
      return view(await loadShed(context, name))
    },
    async list() {
      const all = await loadAllSheds(context)
      return all.map(({ name, record, problem }) =>
        record === undefined ? brokenShed(name, problem as Problem, context.driver.name) : view(record),
      )
    },
    start: async (name, work = {}) => view(await alone(name, (record) => startShed(context, record, work))),
    stop: async (name, { timeout_ms }) => view(await alone(name, (record) => stopShed(context, record, timeout_ms))),
    remove: async (name, request, condition) =>
      await alone(name, async (record) => {
        if (condition !== undefined && record.changed_at !== condition.ifUnchangedSince) throw shedHasChanged(name)
        await removeShed(context, record, request)
      }),
    reset: async (name, work = {}) => view(await alone(name, (record) => resetShed(context, record, work))),
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
    addForward: async (name, request) => await alone(name, () => addForward(context, name, request)),
    removeForward: async (name, hostPort) => await alone(name, () => removeForward(context, name, hostPort)),
    async consolePath(name) {
      await loadNamed(context, name)
      return context.layout.shed(name).console
    },
    imageUsers: async () => await imageUsers(context),
    async release() {
      for (const live of context.live.values()) live.release()
      context.live.clear()
    },
  }
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
  try {
    parseName(name)
  } catch {
    throw shedNotFound(name)
  }
}

async function imageUsers(context: ShedsContext): Promise<ImageUser[]> {
  const all = await loadAllSheds(context)
  return all.map(({ name, record, problem }) => {
    // Fail closed: a shed that cannot be read may need any image.
    if (record === undefined) throw problem
    return { name, manifestDigest: parseDigest(record.image.manifest_digest) }
  })
}
