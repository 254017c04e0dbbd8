import type { CreateShedRequest } from '../../contract/index.ts'
import { defaultMemoryBytes, defaultUpperBytes } from '../../contract/index.ts'
import { upperBytes } from '../../disks/index.ts'
import type { ShedRecord } from '../records/shed-record.ts'

/** What a new shed is made with, whatever its image. */
export type ShedSettings = Pick<
  ShedRecord,
  'cpus' | 'memory_bytes' | 'upper_bytes' | 'rootfs' | 'network' | 'io' | 'env' | 'labels'
>

/** What a shed has when nobody says. */
const defaultSettings: ShedSettings = {
  cpus: 1,
  memory_bytes: defaultMemoryBytes,
  upper_bytes: defaultUpperBytes,
  rootfs: 'erofs',
  network: 'user',
  env: {},
  labels: {},
}

/** What a request says, and for the rest what `base` has. @throws Problem INVALID_REQUEST for a disk that cannot be */
export function shedSettings(request: CreateShedRequest, base: ShedSettings = defaultSettings): ShedSettings {
  const io = request.io ?? base.io
  return {
    ...(io === undefined ? {} : { io }),
    cpus: request.cpus ?? base.cpus,
    memory_bytes: request.memory_bytes ?? base.memory_bytes,
    upper_bytes: upperBytes(request.upper_bytes ?? base.upper_bytes),
    rootfs: request.rootfs ?? base.rootfs,
    network: request.network ?? base.network,
    env: request.env ?? base.env,
    labels: request.labels ?? base.labels,
  }
}
