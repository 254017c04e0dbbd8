import type { AgentConnection } from '../../wires/index.ts'

/**
 * Does something while nothing in a guest can write: what it has written is on its disks, and their journals are empty.
 *
 * @returns what the work returned, and how long the guest could not write, in milliseconds
 * @throws Problem GUEST_FAILED, AGENT_UNREACHABLE, also when the guest has thawed by itself before the work was done, which is then worth nothing; what the
 *   work throws. The guest is thawed in each case.
 * @see FIFREEZE, linux/fs.h; ext4_freeze, fs/ext4/super.c
 */
export async function whileFrozen<T>(
  agent: AgentConnection,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly pauseMs: number }> {
  const begun = performance.now()
  const result = await freezeAndDo(agent, work).catch(async (error: unknown) => {
    // The first failure is the one to tell.
    await agent.thaw().catch(() => undefined)
    throw error
  })
  await agent.thaw()
  return { result, pauseMs: Math.ceil(performance.now() - begun) }
}

async function freezeAndDo<T>(agent: AgentConnection, work: () => Promise<T>): Promise<T> {
  await agent.freeze()
  return await work()
}
