import { hostname } from 'node:os'
import { type DataLayout, isProblem, version } from '../base/index.ts'
import { openBlobStore } from '../blobs/index.ts'
import type { ServerInfo } from '../contract/index.ts'
import { type CacheKeeper, openImages } from '../images/index.ts'
import { createQemuDriver, currentKernel } from '../machines/index.ts'
import { openSheds, type Sheds } from '../sheds/index.ts'
import { openEventLog } from '../state/index.ts'
import { openUsage } from '../usage/index.ts'
import { openRegistries } from '../wires/index.ts'
import { fixHost, runDoctor } from './doctor/run-doctor.ts'
import { setUp } from './set-up.ts'
import { readSettings } from './settings/read-settings.ts'
import type { OpenedRooms, OpenRooms } from './start-daemon.ts'

/** Guests under emulation on a busy host take their time; one that takes longer than this is not coming. */
const bootTimeoutMs = 120_000

/** Opens every room on a data directory that this process holds: the one place where they are wired up. */
export async function openRooms({ layout, runDirectory, agentPath }: OpenRooms): Promise<OpenedRooms> {
  const settings = await readSettings(layout.config)
  const events = openEventLog(layout.indexDb)
  const driver = createQemuDriver()
  const blobs = await openBlobStore(layout)
  const registries = openRegistries({ settings: settings.registries })
  let sheds: Sheds | undefined
  let keeper: CacheKeeper | undefined
  const images = openImages({
    layout,
    blobs,
    registries,
    lowers: {
      policy: { profile: settings.images.lower_profile, form: settings.images.lower_form },
      guestRelease: () => guestRelease(layout),
    },
    keeper: {
      grown: async (growth) => await keeper?.grown(growth),
      makeRoom: async (growth, bytes) => (await keeper?.makeRoom(growth, bytes)) === true,
    },
    // Sheds need images and images ask which sheds pin them. Nothing asks before both are there; if it did, it must not hear "nobody".
    users: () => sheds?.imageUsers() ?? Promise.reject(new Error('images were asked for before sheds were open')),
  })
  sheds = await openSheds({ layout, images, driver, events, runDirectory, bootTimeoutMs })
  const info = serverInfo(layout, driver.name)
  const opened = sheds
  const host = { layout, driver, runDirectory, agentPath }
  const cacheBudget = { maxUsedBytes: settings.cache.max_used, keepFreeBytes: settings.cache.keep_free }
  const usage = openUsage({ layout, images, sheds, events, serverName: info.name, backend: info.backend, cacheBudget })
  // What is not asked for does not happen, not even the look whether it should.
  if (Object.values(cacheBudget).some((bytes) => bytes !== undefined)) keeper = usage.keeper
  return {
    rooms: {
      info,
      sheds,
      images,
      events,
      usage,
      doctor: () => runDoctor(host),
      fixHost: (work) => fixHost(host, work),
      setUp: (request, work) => setUp({ layout, driver, agentPath, events, request, ...work }),
    },
    async close() {
      await opened.release()
      await registries.close()
      await usage.close()
      events.close()
    },
  }
}

/** Undefined before the set-up; that a kernel is damaged is said by whoever boots it. */
async function guestRelease(layout: DataLayout): Promise<string | undefined> {
  try {
    return (await currentKernel(layout)).release
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}

function serverInfo(layout: DataLayout, backend: string): ServerInfo {
  return {
    name: hostname(),
    version,
    pid: process.pid,
    data_directory: layout.root,
    backend,
    started_at: new Date().toISOString(),
    node: process.versions.node,
  }
}
