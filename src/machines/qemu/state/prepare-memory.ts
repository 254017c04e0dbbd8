import { open } from 'node:fs/promises'
import { problemFromSystem } from '../../../base/index.ts'
import type { MachineSpec } from '../../driver.ts'
import { ramBytes } from '../ram-bytes.ts'
import { giveToVm } from './state-directory.ts'

/** Makes the file of a machine's RAM, unless there is one: QEMU would make it readable by others. @throws Problem NO_SPACE, IO_FAILED */
export async function prepareMemory(spec: MachineSpec): Promise<void> {
  if (spec.memory === undefined) return
  const { path } = spec.memory
  try {
    if (spec.restore?.state === undefined) {
      await using file = await open(path, 'a', 0o600)
      await file.truncate(ramBytes(spec))
    }
    // QEMU opens this one anew, by its descriptor: of RAM it takes no descriptor that is open.
    await giveToVm(path)
  } catch (error) {
    throw problemFromSystem(error, `make the RAM of ${spec.name}: ${path}`)
  }
}
