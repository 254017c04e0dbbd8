import { stat } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { Problem } from '../../../base/index.ts'
import type { MachineSpec, StateIdentity } from '../../driver.ts'
import { ramBytes } from '../ram-bytes.ts'
import { identifyState } from './identify-state.ts'

/**
 * Refuses a state that is of another machine, before anything runs: QEMU would notice some of it, and of the rest the guest would, much later.
 *
 * @throws Problem STATE_MISMATCH naming what differs
 */
export async function checkRestore(spec: MachineSpec, driverVersion: string): Promise<void> {
  const { restore, memory } = spec
  if (restore === undefined) return
  if (memory === undefined) throw new Problem('STATE_MISMATCH', `there is no RAM for the saved state of ${spec.name}`)
  if (restore.takeOver !== undefined) return
  const now = identifyState(spec, driverVersion)
  const differing = (Object.keys(now) as (keyof StateIdentity)[]).filter(
    (key) => !isDeepStrictEqual(now[key], restore.belongsTo[key]),
  )
  if (differing.length > 0) throw mismatch(spec, { now, saved: restore.belongsTo, differing })
  const found = await stat(memory.path).catch(() => undefined)
  if (found?.size === ramBytes(spec)) return
  const has = found === undefined ? 'is not there' : `has ${found.size} bytes, not ${ramBytes(spec)}`
  throw new Problem('STATE_MISMATCH', `the RAM of ${spec.name} cannot be restored: ${memory.path} ${has}`)
}

interface Mismatch {
  readonly now: StateIdentity
  readonly saved: StateIdentity
  readonly differing: readonly (keyof StateIdentity)[]
}

function mismatch({ name }: MachineSpec, { now, saved, differing }: Mismatch): Problem {
  const parts = differing.map((key) => `${key} was ${JSON.stringify(saved[key])} and is ${JSON.stringify(now[key])}`)
  return new Problem('STATE_MISMATCH', `the saved state of ${name} is of another machine: ${parts.join('; ')}`, {
    data: { differing: [...differing] },
  })
}
