import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isProblem, newId, parseName } from '../../base/index.ts'
import type { CreateSnapshotRequest, SnapshotVolume } from '../../contract/index.ts'
import { loadVolume } from '../../disks/index.ts'
import { fileStatus, installDirectory, openStaging } from '../../host/index.ts'
import { encodeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { refuseCold, type ShedRecord } from '../records/shed-record.ts'
import { diskPath } from '../shed-disk.ts'
import { holdVolumes } from '../volumes/hold-volumes.ts'
import { cutDisks } from './cut-disks.ts'
import { snapshotDisk } from './load-snapshot.ts'
import { type SnapshotRecord, snapshotExists } from './snapshot-record.ts'

/**
 * Keeps the disks of a settled shed as they are now, inside its transition. Killed at any point, there is all of the snapshot or nothing; the shed goes on
 * in either case.
 *
 * @throws Problem SNAPSHOT_ALREADY_EXISTS, AGENT_UNREACHABLE, GUEST_FAILED, NO_SPACE; there is nothing new then
 */
export async function takeSnapshot(
  context: ShedsContext,
  shed: ShedRecord,
  { name, comment, volumes: withVolumes = true }: CreateSnapshotRequest,
): Promise<void> {
  const { layout, events } = context
  refuseCold(shed, `take a snapshot of ${shed.name}`)
  const paths = layout.snapshot(parseName(name, 'name for a snapshot'))
  // Before a guest is made to wait.
  if ((await fileStatus(paths.dir)) !== undefined) throw snapshotExists(name)
  await using staging = await openStaging(layout, `snapshot-${name}`)
  const inStaging = (path: string) => join(staging.path, path.slice(paths.dir.length + 1))
  const own = { from: diskPath(layout, shed), to: inStaging(snapshotDisk(layout, { name, rootfs: shed.rootfs })) }
  const record = await whileVolumesRest(context, withVolumes ? shed : { volumes: [] }, async (volumes) => {
    const written = volumes.filter(({ read_only }) => !read_only).map(({ volume }) => volume)
    const theirs = written.map((volume) => ({
      from: layout.volume(volume).data,
      to: inStaging(layout.snapshotVolume(name, volume)),
    }))
    const pauseMs = await cutDisks(context, shed.name, [own, ...theirs])
    return recordOf(shed, { name, comment, volumes, pauseMs })
  })
  await writeFile(inStaging(paths.record), encodeRecord(record), { mode: 0o400 })
  await mkdir(layout.snapshots, { recursive: true, mode: 0o700 })
  await installDirectory({ from: staging.path, to: paths.dir }).catch((error: unknown) => {
    throw isProblem(error, 'FILE_EXISTS') ? snapshotExists(name, error) : error
  })
  const message = `snapshot ${name} of ${shed.name} is taken`
  const data = { shed: shed.name, ...(record.pause_ms === undefined ? {} : { pause_ms: record.pause_ms }) }
  events.append({ type: 'snapshot.created', subject: name, message, data })
}

/** Nobody makes them larger or trims them meanwhile. @throws Problem VOLUME_NOT_FOUND, RECORD_INVALID, VOLUME_IN_USE */
async function whileVolumesRest<T>(
  context: ShedsContext,
  { volumes }: Pick<ShedRecord, 'volumes'>,
  work: (volumes: SnapshotVolume[]) => Promise<T>,
): Promise<T> {
  const written = volumes.filter(({ read_only }) => !read_only).map(({ volume }) => volume)
  return await holdVolumes(context, written, async () => {
    const sized = volumes.map(async (mount) =>
      mount.read_only ? mount : { ...mount, bytes: (await loadVolume(context.layout, mount.volume)).bytes },
    )
    return await work(await Promise.all(sized))
  })
}

interface Cut {
  readonly name: string
  readonly comment: string | undefined
  readonly volumes: SnapshotVolume[]
  readonly pauseMs: number | undefined
}

function recordOf(shed: ShedRecord, { name, comment, volumes, pauseMs }: Cut): SnapshotRecord {
  const { image, cpus, memory_bytes, upper_bytes, rootfs, network, io, env, labels, defaults } = shed
  return {
    version: 1,
    name,
    id: newId(),
    ...(comment === undefined ? {} : { comment }),
    shed: { name: shed.name, id: shed.id },
    ...(shed.snapshot === undefined ? {} : { parent: shed.snapshot.name }),
    image,
    cpus,
    memory_bytes,
    upper_bytes,
    rootfs,
    network,
    ...(io === undefined ? {} : { io }),
    env,
    labels,
    defaults,
    volumes,
    ...(pauseMs === undefined ? {} : { pause_ms: pauseMs }),
    created_at: new Date().toISOString(),
  }
}
