import type { Snapshot, SnapshotDetail } from '../../contract/index.ts'
import { fileStatus, removeDirectory } from '../../host/index.ts'
import { type Pin, refusePinned } from '../../state/index.ts'
import { type Alone, knownPins, type ShedsContext } from '../context.ts'
import { loadAllSheds } from '../records/load-shed.ts'
import { exportSnapshot } from './export-snapshot.ts'
import { importSnapshot } from './import-snapshot.ts'
import { loadAllSnapshots, loadOrBroken } from './load-snapshot.ts'
import { lowerOfSnapshot } from './lower-of-snapshot.ts'
import { restoreSnapshot, snapshotFiles } from './restore-snapshot.ts'
import { snapshotNotFound } from './snapshot-record.ts'
import { snapshotView } from './snapshot-view.ts'
import type { Snapshots } from './snapshots.ts'
import { takeSnapshot } from './take-snapshot.ts'

/** The snapshots of the data directory whose sheds these are. */
export function openSnapshots(context: ShedsContext, alone: Alone): Snapshots {
  const { layout, pins, events, snapshotTurns, snapshotUses } = context
  const view = async (name: string) => snapshotView(await loadOrBroken(context, name), await knownPins(context))
  const detail = async (name: string): Promise<SnapshotDetail> => {
    const entry = await loadOrBroken(context, name)
    const shown = snapshotView(entry, await knownPins(context))
    const made = (await loadAllSheds(context)).filter(({ record }) => record?.snapshot?.id === shown.id)
    return {
      ...shown,
      ...lowerOfSnapshot(layout, shown),
      missing_volumes: await missingVolumes(context, shown),
      sheds: made.map((shed) => shed.name),
    }
  }

  return {
    async create(request) {
      await alone(request.shed, (shed) => takeSnapshot(context, shed, request))
      return await view(request.name)
    },
    get: detail,
    async list() {
      const [all, known] = await Promise.all([loadAllSnapshots(context), knownPins(context)])
      return all.map((entry) => snapshotView(entry, known))
    },
    exportTo: async (name, options) => await exportSnapshot(context, name, options),
    files: async (name) => await snapshotFiles(context, name),
    async restore(name, fetch) {
      await restoreSnapshot(context, name, fetch)
      return await detail(name)
    },
    importFrom: async (file) => await importSnapshot(context, file),
    async remove(name, { force }) {
      const { problem } = await loadOrBroken(context, name)
      if (problem !== undefined && !force) throw problem
      await refusePinned(pins, pinOf(name), name)
      const { dir } = layout.snapshot(name)
      const removed = await snapshotTurns.run(name, async () => {
        return await removeDirectory({ dir, staging: layout.staging, what: `the snapshot ${name}` })
      })
      snapshotUses.forget(name)
      if (!removed) throw snapshotNotFound(name)
      events.append({ type: 'snapshot.deleted', subject: name, message: `snapshot ${name} is removed` })
    },
    async protect(name, isProtected) {
      await loadOrBroken(context, name)
      if (await pins.set(pinOf(name), isProtected)) {
        const type = isProtected ? 'snapshot.protected' : 'snapshot.unprotected'
        const message = `snapshot ${name} is ${isProtected ? 'protected' : 'protected no more'}`
        events.append({ type, subject: name, message })
      }
      return await view(name)
    },
  }
}

async function missingVolumes({ layout }: ShedsContext, { volumes }: Snapshot): Promise<string[]> {
  const named = volumes.filter(({ bytes }) => bytes === undefined).map(({ volume }) => volume)
  const found = await Promise.all(named.map((volume) => fileStatus(layout.volume(volume).data)))
  return named.filter((_, at) => found[at] === undefined)
}

function pinOf(name: string): Pin {
  return { kind: 'snapshot', id: name }
}
