import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DataLayout, dataLayout } from '../../src/base/index.ts'
import type { CreateShedRequest } from '../../src/contract/index.ts'
import { openRooms } from '../../src/daemon/main.ts'
import type { Rooms } from '../../src/daemon/rooms.ts'
import { runDirectoryName } from '../../src/daemon/run-directory.ts'
import { busyboxArchive } from './busybox-image.ts'

export interface OpenedRooms extends Rooms, AsyncDisposable {
  readonly layout: DataLayout
  readonly runDirectory: string
  /** Makes a shed of the image `mini:1` that is not started. */
  create(name: string, more?: Partial<CreateShedRequest>): Promise<void>
  loadMini(ref?: string): Promise<void>
}

/** All rooms of a daemon, wired up as it does, on a data directory in this process and without its HTTP. */
export async function openRoomsOn(directory: string): Promise<OpenedRooms> {
  const layout = dataLayout(join(directory, 'data'))
  // Cgroups of VMs are named after it, too.
  const runDirectory = join(directory, runDirectoryName(layout))
  await mkdir(runDirectory, { recursive: true, mode: 0o700 })
  const { rooms, close } = await openRooms({
    layout,
    runDirectory,
    agentPath: '/nonexistent',
    launcher: '/nonexistent',
  })
  return {
    ...rooms,
    layout,
    runDirectory,
    async create(name, more = {}) {
      await rooms.sheds.create({ ...settings, ...more, name })
    },
    async loadMini(ref = 'mini:1') {
      await rooms.images.load({ source: { stream: once(busyboxArchive(ref)) } })
    },
    [Symbol.asyncDispose]: close,
  }
}

const settings = {
  image: 'mini:1',
  cpus: 1,
  memory_bytes: 256 * 2 ** 20,
  upper_bytes: 64 * 2 ** 20,
  rootfs: 'erofs' as const,
  network: 'none' as const,
  env: {},
  labels: {},
  volumes: [],
  secrets: [],
  start: false,
  pull: 'never' as const,
}

async function* once(bytes: Buffer): AsyncIterable<Buffer> {
  yield bytes
}
