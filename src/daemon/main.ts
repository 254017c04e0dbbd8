import { hostname } from 'node:os'
import { openBackups } from '../backups/index.ts'
import { type DataLayout, isProblem, version } from '../base/index.ts'
import { openBlobStore } from '../blobs/index.ts'
import type { ServerInfo } from '../contract/index.ts'
import { type CacheKeeper, openImages } from '../images/index.ts'
import { confinementOfVms, createQemuDriver, currentKernel, sweepVmCgroups } from '../machines/index.ts'
import { openSheds, type Sheds } from '../sheds/index.ts'
import { type NewEvent, openIndex, openPins, openSecrets } from '../state/index.ts'
import { openUsage, type PressureSettings } from '../usage/index.ts'
import { openRegistries } from '../wires/index.ts'
import { openTokens } from './access/tokens.ts'
import { fixHost, runDoctor } from './doctor/run-doctor.ts'
import { openLazyLowers } from './lazy/lazy-lowers.ts'
import { lazyReaders, listLazyImages } from './lazy/list-lazy-images.ts'
import { WholeLowers } from './lazy/whole-lowers.ts'
import { ramDirectoryPath } from './run-directory.ts'
import { setUp } from './set-up.ts'
import { hostLimits } from './settings/host-limits.ts'
import { pullPolicyOf } from './settings/pull-policy.ts'
import { readSettings } from './settings/read-settings.ts'
import type { Settings } from './settings/settings.ts'
import { useOfHost } from './settings/use-of-host.ts'
import type { OpenedRooms, OpenRooms } from './start-daemon.ts'

/** Guests under emulation on a busy host take their time; one that takes longer than this is not coming. */
const bootTimeoutMs = 120_000

/** Opens every room on a data directory that this process holds: the one place where they are wired up. */
export async function openRooms({
  layout,
  runDirectory,
  agentPath,
  launcher,
  lookAheadMs,
}: OpenRooms): Promise<OpenedRooms> {
  const settings = await readSettings(layout.config)
  const { events, history } = openIndex(layout.indexDb)
  const pins = openPins(layout)
  const driver = createQemuDriver()
  const blobs = await openBlobStore(layout)
  const registries = openRegistries({ settings: settings.registries })
  let sheds: Sheds | undefined
  let keeper: CacheKeeper | undefined
  const images = openImages({
    layout,
    blobs,
    registries,
    pins,
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
  const wholes = new WholeLowers({
    ...{ layout, images, events },
    readersOf: async (chunkIndex) => lazyReaders(chunkIndex, (await sheds?.list()) ?? []),
    sheds: () => sheds,
  })
  const lazyLowers = openLazyLowers({ root: layout.root, runDirectory, launcher, events, images, wholes })
  const limits = hostLimits(settings.limits)
  const ramDirectory = ramDirectoryPath(layout, settings.sheds.ram_directory)
  const { compress_after } = settings.sheds
  sheds = await openSheds({
    layout,
    images,
    driver,
    lazyLowers,
    pullPolicy: pullPolicyOf(settings.images),
    lazyReading: { fill: settings.images.lazy_fill, fail_after_ms: settings.images.lazy_fail_after },
    events,
    pins,
    secrets: openSecrets(layout),
    runDirectory,
    bootTimeoutMs,
    trimOnStop: settings.sheds.trim_on_stop,
    idle: { warmAfterMs: settings.sheds.warm_after, coldAfterMs: settings.sheds.cold_after },
    compressAfterMs: compress_after === 'never' ? undefined : compress_after,
    limits,
    ramDirectory,
  })
  wholes.settleAll()
  // Those that it found dead, or that died with their record, have one left.
  await sweepVmCgroups(runDirectory)
  const info = serverInfo(layout, driver.name)
  const opened = sheds
  const hostUse = async () => useOfHost(limits, await opened.occupants())
  const host = { layout, driver, images, runDirectory, ramDirectory, agentPath, hostUse, confinement: confinementOfVms }
  const cacheBudget = { maxUsedBytes: settings.cache.max_used, keepFreeBytes: settings.cache.keep_free }
  const pressure = pressureOf(settings.prune)
  const usage = openUsage({
    layout,
    images,
    sheds,
    events,
    history,
    serverName: info.name,
    backend: info.backend,
    cacheBudget,
    pressure,
    ...(lookAheadMs === undefined ? {} : { lookAheadMs }),
  })
  // What is not asked for does not happen, not even the look whether it should.
  const hasBudget = Object.values(cacheBudget).some((bytes) => bytes !== undefined)
  if (hasBudget || pressure !== undefined) keeper = usage.keeper
  const tokens = await openTokens({ layout, onBroken: ({ message }) => events.append(unreadable(message)) })
  return {
    settings,
    rooms: {
      layout,
      info,
      backups: openBackups({ layout, s3: settings.s3 }),
      hostUse,
      tokens,
      sheds,
      images,
      lazyImages: () =>
        listLazyImages({ layout, runDirectory, listSheds: () => opened.list(), watches: lazyLowers.watches }),
      events,
      usage,
      doctor: () => runDoctor(host),
      fixHost: (work) => fixHost(host, work),
      setUp: (request, work) => setUp({ layout, driver, agentPath, events, request, ...work }),
    },
    async close() {
      await opened.release()
      lazyLowers[Symbol.dispose]()
      await wholes[Symbol.asyncDispose]()
      await sweepVmCgroups(runDirectory)
      await registries.close()
      await usage.close()
      await tokens.close()
      events.close()
    },
  }
}

/** Undefined unless it is wanted: without it nothing is pruned unasked. */
function pressureOf({ when_free_below: whenFreeBelow, ...rest }: Settings['prune']): PressureSettings | undefined {
  if (whenFreeBelow === undefined) return undefined
  const target = Math.max(whenFreeBelow, rest.free_target ?? 2 * whenFreeBelow)
  return { whenFreeBelow, target, coolDownMs: rest.cool_down, scopes: rest.scopes, untilMs: rest.until }
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

function unreadable(message: string): NewEvent {
  return { type: 'token.broken', subject: 'tokens', message: `${message}; nobody is let in with it` }
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
