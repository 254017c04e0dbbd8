import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../../base/index.ts'
import { isLocked, killProcess, lockHolders, processStartTime, within } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'

/** How long a process that was killed may take to go, in milliseconds. */
const deathMs = 30_000

/**
 * Ends whatever VM a shed has, at once, and forgets it: one that is held, and one that nobody holds and that only its lock tells of.
 *
 * @throws Problem MACHINE_FAILED when it does not die: its disk is then still in use
 */
export async function endVm(context: ShedsContext, name: string): Promise<void> {
  const live = context.live.get(name)
  try {
    if (live !== undefined) {
      live.ending = true
      // One that does not die, for it waits in the kernel for a disk, is for its lock to tell of.
      await within(live.machine.kill(), deathMs)
    }
    await endLeftover(context, name)
  } catch (error) {
    if (live !== undefined) live.ending = false
    throw error
  }
  await forgetVm(context, name)
}

/** Ends the VMMs that nobody holds: whoever holds the shed's locks. The lock, not a pid in a file, says who that is. */
export async function endLeftover(context: ShedsContext, name: string): Promise<void> {
  await endHeir(context, name)
  await endHolders(name, context.layout.shed(name).vmmLock)
}

/** Ends a VMM that was taking over the memory of a shed's VM when its daemon was killed: until it is dead it has the shed's disks. */
export async function endHeir({ layout }: ShedsContext, name: string): Promise<void> {
  await endHolders(name, layout.shed(name).heirLock)
}

async function endHolders(name: string, lock: string): Promise<void> {
  const deadline = Date.now() + deathMs
  while (await isLocked(lock)) {
    const holders = await lockHolders(lock)
    for (const pid of holders) {
      const startTime = processStartTime(pid)
      if (startTime !== undefined) killProcess({ pid, startTime }, 'SIGKILL')
    }
    if (Date.now() > deadline) throw stillHeld(name, lock, holders)
    await sleep(20)
  }
}

/** What is known of a VM goes when it is known to be dead. */
export async function forgetVm({ live, layout, ram, uses, lazyLowers }: ShedsContext, name: string): Promise<void> {
  live.get(name)?.closeAgent()
  live.delete(name)
  uses.forget(name)
  lazyLowers.release(name)
  await ram.remove(name)
  await rm(layout.shed(name).machine, { force: true })
}

function stillHeld(name: string, lock: string, holders: readonly number[]): Problem {
  const who = holders.length === 0 ? 'a process that cannot be seen' : `process ${holders.join(', ')}`
  return new Problem('MACHINE_FAILED', `the VM of ${name} does not end: ${who} holds ${lock}`, {
    hint: 'end that process, then try again',
    data: { pids: [...holders] },
  })
}
