import { chmod, mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { problemFromSystem } from '../../base/index.ts'
import { cloneFile, syncFile } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { whileFrozen } from '../vm/while-frozen.ts'

export interface DiskToCut {
  readonly from: string
  /** In staging. */
  readonly to: string
}

/**
 * Clones disks of a shed as they are at one moment, mode 0400; its guest, if there is one, has everything written and its filesystems frozen for it. Where
 * files share no extents it waits for copies.
 *
 * @returns how long the guest could not write, in milliseconds; undefined when there is none
 * @throws Problem AGENT_UNREACHABLE, NO_SPACE; GUEST_FAILED also when copies took so long that the guest went on by itself
 */
export async function cutDisks(
  context: ShedsContext,
  shed: string,
  disks: readonly DiskToCut[],
): Promise<number | undefined> {
  const agent = await context.live.get(shed)?.agent()
  if (agent === undefined) {
    await cloneDisks(disks)
    return undefined
  }
  // What is written before need not be written while it waits.
  await agent.sync()
  for (const { from } of disks) await syncFile(from)
  const { pauseMs } = await whileFrozen(agent, () => cloneDisks(disks))
  return pauseMs
}

/** Of a guest that does not write, mode 0400. One by one: whoever gives up half way has nothing that goes on. */
export async function cloneDisks(disks: readonly DiskToCut[]): Promise<void> {
  for (const { from, to } of disks) await cloneDisk(from, to)
}

async function cloneDisk(from: string, to: string): Promise<void> {
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await cloneFile(from, to)
    await chmod(to, 0o400)
  } catch (error) {
    throw problemFromSystem(error, `clone ${from} to ${to}`)
  }
}
