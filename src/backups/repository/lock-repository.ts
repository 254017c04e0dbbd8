import { setTimeout as sleep } from 'node:timers/promises'
import { newId, Problem } from '../../base/index.ts'
import { idIn, objectNames } from '../format/object-names.ts'
import { listAll } from '../targets/list-all.ts'
import type { BackupTarget, TargetObject } from '../targets/target.ts'

export type LockKind = 'shared' | 'exclusive'

export interface RepositoryLock {
  /** Whether the lock is still there: one whose holder was silent for long is taken away. */
  isHeld(): Promise<boolean>
  [Symbol.asyncDispose](): Promise<void>
}

export interface LockTimes {
  /** How often a holder says that it lives. */
  readonly refreshMs: number
  /** After such silence it is taken for dead. */
  readonly staleMs: number
  /** How long a shared lock waits for an exclusive one to go. */
  readonly waitMs: number
}

export const defaultLockTimes: LockTimes = { refreshMs: 60_000, staleMs: 15 * 60_000, waitMs: 30_000 }

interface LockRepository {
  readonly target: BackupTarget
  readonly kind: LockKind
  readonly times?: LockTimes | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Backups, restores and verifications hold shared locks, whoever deletes chunks an exclusive one. A lock is an object: whoever wants one writes it first and
 * looks then who else has one. So of two that exclude each other at least one sees the other, and goes back.
 *
 * A store has no locks, and a holder may sleep for longer than anybody waits (a laptop does). So a lock protects from what is usual; a backup looks
 * once more, when its manifest is there, whether the lock was there to the end (`backUp`).
 *
 * @throws Problem BACKUP_REPOSITORY_BUSY; what the target throws
 */
export async function lockRepository(options: LockRepository): Promise<RepositoryLock> {
  const { times = defaultLockTimes, signal } = options
  const until = performance.now() + (options.kind === 'shared' ? times.waitMs : 0)
  for (;;) {
    const lock = await tryLock({ ...options, times })
    if (lock !== undefined) return lock
    if (performance.now() >= until) throw busy(options.target, times)
    // Two that go back at once must not come back at once.
    await sleep(500 + Math.random() * 1000, undefined, signal === undefined ? {} : { signal }).catch(() => {})
    if (signal?.aborted) throw new Problem('CANCELLED', 'it was stopped on request', { cause: signal.reason })
  }
}

async function tryLock({
  target,
  kind,
  times,
  signal,
}: LockRepository & { times: LockTimes }): Promise<RepositoryLock | undefined> {
  const name = objectNames.lock(kind, newId())
  await target.put(name, Buffer.alloc(0), { signal })
  const lock = hold({ target, name, times })
  try {
    const others = await othersThan(name, target, times)
    const inTheWay = kind === 'exclusive' ? others : others.filter(isExclusive)
    if (inTheWay.length === 0) return lock
  } catch (error) {
    await lock[Symbol.asyncDispose]()
    throw error
  }
  await lock[Symbol.asyncDispose]()
  return undefined
}

/** The locks of the living. Those of the dead are removed: a holder that only slept finds its own gone. */
async function othersThan(name: string, target: BackupTarget, { staleMs }: LockTimes): Promise<TargetObject[]> {
  const locks = await listAll(target, objectNames.locks)
  // By the target's own clock: hosts need not agree what time it is.
  const now = locks.find((lock) => lock.name === name)?.changedMs
  const others: TargetObject[] = []
  for (const lock of locks) {
    if (lock.name === name) continue
    if (now !== undefined && now - lock.changedMs > staleMs) await target.remove(lock.name)
    else others.push(lock)
  }
  return others
}

function hold({ target, name, times }: { target: BackupTarget; name: string; times: LockTimes }): RepositoryLock {
  let refreshing: Promise<void> = Promise.resolve()
  let held = true
  const timer = setInterval(() => {
    refreshing = refresh()
  }, times.refreshMs)
  timer.unref()
  // One that was taken away does not come back: then its holder would not know.
  const refresh = async () => {
    try {
      held &&= (await target.get(name)) !== undefined
      if (held) await target.put(name, Buffer.alloc(0))
    } catch {
      // The network comes back, or the work that the lock is for fails by itself.
    }
  }
  return {
    async isHeld() {
      await refreshing
      held &&= (await target.get(name)) !== undefined
      return held
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer)
      await refreshing
      // Without it the work is done all the same; the lock goes when it is stale.
      await target.remove(name).catch(() => {})
    },
  }
}

function isExclusive({ name }: TargetObject): boolean {
  return idIn(name).startsWith('exclusive-')
}

function busy({ url }: BackupTarget, { staleMs }: LockTimes): Problem {
  return new Problem('BACKUP_REPOSITORY_BUSY', `others are at work at ${url}: a backup, a restore or a prune`, {
    hint: `try again when they are done; what a host that has crashed holds is free after ${Math.ceil(staleMs / 60_000)} minutes`,
    data: { url },
  })
}
