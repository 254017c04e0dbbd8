import { isAbsolute } from 'node:path'
import { type DataLayout, Problem } from '../base/index.ts'
import { defaultUpperBytes, type SetupReply, type SetupRequest } from '../contract/index.ts'
import { ensureUpperTemplate } from '../disks/index.ts'
import { type Driver, ensureVmUser, installKernel, probeAcceleration } from '../machines/index.ts'
import type { LongWork } from '../sheds/index.ts'
import type { EventLog } from '../state/index.ts'

export interface SetUp extends LongWork {
  readonly layout: DataLayout
  readonly driver: Driver
  readonly agentPath: string
  readonly events: EventLog
  readonly request: SetupRequest
}

/** Makes a guest kernel the one that sheds boot, the template of their disks, and finds out how this host runs them. */
export async function setUp({ layout, driver, agentPath, events, request, onProgress }: SetUp): Promise<SetupReply> {
  for (const path of [request.kernel, request.modules]) {
    if (path !== undefined && !isAbsolute(path)) throw new Problem('INVALID_REQUEST', `not an absolute path: ${path}`)
  }
  // Before anything is downloaded: without the driver a kernel is of no use.
  await driver.probe()
  const { files, outcome } = await installKernel(layout, {
    ...(request.kernel === undefined ? {} : { kernel: request.kernel }),
    ...(request.modules === undefined ? {} : { modules: request.modules }),
    ...(onProgress === undefined ? {} : { onProgress }),
    agentPath,
  })
  await ensureVmUser()
  await ensureUpperTemplate(layout, defaultUpperBytes)
  onProgress?.({ phase: 'probe acceleration', done: 0 })
  const { acceleration, reason } = await probeAcceleration(layout, files, driver)
  if (outcome === 'installed') {
    events.append({
      type: 'kernel.installed',
      subject: files.id,
      message: `kernel ${files.release} is ready (${acceleration})`,
    })
  }
  return {
    kernel_id: files.id,
    release: files.release,
    acceleration,
    acceleration_reason: reason,
    outcome: outcome === 'installed' ? 'installed' : 'unchanged',
  }
}
