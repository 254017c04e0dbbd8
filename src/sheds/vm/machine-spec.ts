import { type KernelFiles, type MachineSpec, probeAcceleration } from '../../machines/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'
import { drivesOf } from '../shed-disk.ts'
import type { LongWork } from '../sheds.ts'
import { isToBeConfigured } from './configure-guest.ts'

export interface GivenMachine {
  readonly work: LongWork
  readonly kernel: KernelFiles
  readonly agentKey: string
}

/** The VM that a shed is to have, all but where its RAM is. @throws Problem as drivesOf does */
export async function machineSpec(
  context: ShedsContext,
  record: ShedRecord,
  { work, kernel, agentKey }: GivenMachine,
): Promise<MachineSpec> {
  const { layout, driver, runDirectory } = context
  const paths = layout.shed(record.name)
  const { acceleration } = await probeAcceleration(layout, kernel, driver)
  const { drives, kernelArguments } = await drivesOf(context, record, work)
  return {
    name: record.name,
    id: record.id,
    cpus: record.cpus,
    memoryBytes: record.memory_bytes,
    io: ioOf(record),
    kernel,
    kernelArguments: [
      `cowshed.hostname=${record.name}`,
      `cowshed.machine_id=${record.machine_id}`,
      `cowshed.net=${record.network}`,
      // Nobody can type into the console. Where udev is missing, systemd would wait 90 s for a login on it (systemd-getty-generator(8)).
      'systemd.getty_auto=no',
      ...kernelArguments,
      ...(isToBeConfigured(record) ? ['cowshed.wait=1'] : []),
    ],
    drives,
    network: record.network,
    acceleration,
    consolePath: paths.console,
    logPath: paths.vmmLog,
    lockPath: paths.vmmLock,
    runDirectory,
    agentKey,
  }
}

function ioOf({ io }: ShedRecord): MachineSpec['io'] {
  if (io === undefined) return undefined
  const { read_bytes_per_second, write_bytes_per_second, operations_per_second } = io
  return {
    readBytesPerSecond: read_bytes_per_second,
    writeBytesPerSecond: write_bytes_per_second,
    operationsPerSecond: operations_per_second,
  }
}
