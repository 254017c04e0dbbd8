import { Problem } from '../../base/index.ts'
import type { VolumeMount } from '../../contract/index.ts'
import { loadVolume } from '../../disks/index.ts'
import type { AgentConnection } from '../../wires/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { writeSecretFiles } from '../secrets/write-secret-files.ts'
import { volumeDrive } from '../shed-disk.ts'

/** Whether a guest has to be told something before its init begins: `cowshed.wait=1` on its kernel's command line. */
export function isToBeConfigured({ volumes, secrets }: ShedRecord): boolean {
  return volumes.length > 0 || secrets.some(({ path }) => path !== undefined)
}

/**
 * Tells a guest that waits for it what it is to have before its init begins, and lets it begin.
 *
 * @throws Problem BOOT_FAILED when something cannot be had, SECRET_NOT_FOUND, AGENT_UNREACHABLE, AGENT_PROTOCOL
 */
export async function configureGuest(context: ShedsContext, record: ShedRecord, agent: AgentConnection): Promise<void> {
  // Those inside others after them.
  for (const mount of [...record.volumes].sort(byPath)) await mountVolume(context, agent, mount)
  await writeSecretFiles(context, record, agent)
  await agent.begin()
}

function byPath(a: VolumeMount, b: VolumeMount): number {
  return a.path < b.path ? -1 : 1
}

async function mountVolume(context: ShedsContext, agent: AgentConnection, mount: VolumeMount): Promise<void> {
  const { volume, path, read_only: readOnly } = mount
  const { record } = await loadVolume(context.layout, volume)
  try {
    await agent.mount({ serial: volumeDrive(record.id), path, readOnly })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Problem('BOOT_FAILED', `the volume ${volume} cannot be mounted at ${path}: ${why}`, { cause })
  }
}
