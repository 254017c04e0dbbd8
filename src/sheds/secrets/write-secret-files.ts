import { posix } from 'node:path'
import { isProblem, Problem } from '../../base/index.ts'
import type { AgentConnection } from '../../wires/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { guestOwner } from './guest-owner.ts'

/** Below /run, which the agent mounts as a tmpfs before anything else begins: it is on no disk, and gone when the guest is. */
const directory = '/run/cowshed/secrets'

/**
 * Writes what a shed is given as files into its guest's memory, and has a link lead there from where it is wanted. The link alone is on the shed's disk.
 *
 * @throws Problem BOOT_FAILED naming the path, SECRET_NOT_FOUND, RECORD_INVALID, AGENT_UNREACHABLE
 */
export async function writeSecretFiles(
  { secrets }: ShedsContext,
  { secrets: uses, defaults }: ShedRecord,
  agent: AgentConnection,
): Promise<void> {
  const files = uses.flatMap(({ secret, path }) => (path === undefined ? [] : [{ secret, path }]))
  if (files.length === 0) return
  const owner = await guestOwner(agent, defaults.user)
  await agent.makeDirectory(directory, { mode: 0o711, parents: true })
  for (const { secret, path } of files) {
    const value = await secrets.value(secret)
    try {
      await agent.writeFile(`${directory}/${secret}`, value, { mode: 0o400, ...owner })
      await link(agent, path, `${directory}/${secret}`)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new Problem('BOOT_FAILED', `the secret ${secret} cannot be at ${path}: ${why}`, { cause })
    }
  }
}

/** One that is there from an earlier start stays; what is something else is not replaced. */
async function link(agent: AgentConnection, path: string, target: string): Promise<void> {
  const found = await agent.readlink(path).catch((error: unknown) => {
    if (isProblem(error, 'GUEST_FILE_NOT_FOUND')) return undefined
    throw isProblem(error, 'GUEST_FAILED')
      ? new Problem('FILE_EXISTS', 'there is something else', { cause: error })
      : error
  })
  if (found?.toString() === target) return
  await agent.makeDirectory(posix.dirname(path), { parents: true })
  await agent.symlink(target, path)
}
