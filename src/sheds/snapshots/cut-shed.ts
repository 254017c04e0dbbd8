import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { memoryIn, newId, Problem } from '../../base/index.ts'
import type { CreateSnapshotRequest, SnapshotVolume } from '../../contract/index.ts'
import { loadVolume } from '../../disks/index.ts'
import type { ShedsContext } from '../context.ts'
import { copyMemory } from '../memory/copy-memory.ts'
import { cutMemory } from '../memory/cut-memory.ts'
import type { CutMemory } from '../memory/stored-memory.ts'
import { refuseUnsavable } from '../memory/with-savable.ts'
import { refuseCold, type ShedRecord, shedNotRunning } from '../records/shed-record.ts'
import { refuseSecrets, secretsInMemory, withSecretsInMemory } from '../secrets/secrets-in-memory.ts'
import { diskPath } from '../shed-disk.ts'
import { whileAwake } from '../verbs/while-awake.ts'
import { whileItLives } from '../vm/while-it-lives.ts'
import { writeBack } from '../vm/write-back.ts'
import { holdVolumes } from '../volumes/hold-volumes.ts'
import { cloneDisks, cutDisks, type DiskToCut } from './cut-disks.ts'
import { snapshotDisk } from './load-snapshot.ts'
import type { SnapshotRecord } from './snapshot-record.ts'

export interface CutShed {
  readonly request: Omit<CreateSnapshotRequest, 'shed'>
  /** In staging, and empty. */
  readonly directory: string
  /**
   * Whoever makes sheds from this at once, and keeps it for nobody, hears when it can be begun with: RAM may be on its way still, and is in no record. Called once,
   * unless the cut fails before.
   */
  readonly onCut?: ((cut: Cut) => void) | undefined
}

/** What sheds can be made from. */
export interface Cut {
  readonly record: SnapshotRecord
  readonly memory: CutMemory | undefined
}

/**
 * Makes the files of a snapshot of a settled shed as it is now, inside its transition, as they are named below the directory of that snapshot. It goes on as it was.
 *
 * @returns what installSnapshot needs
 * @throws Problem as takeSnapshot does
 */
export async function cutShed(
  context: ShedsContext,
  shed: ShedRecord,
  { request, directory, onCut }: CutShed,
): Promise<SnapshotRecord> {
  const { name, memory: withMemory = false, volumes: withVolumes = true } = request
  const { layout } = context
  if (withMemory) refuseWithoutMemory(context, shed, request)
  else refuseCold(shed, `take a snapshot of ${shed.name}`)
  const { dir } = layout.snapshot(name)
  const inStaging = (path: string) => join(directory, path.slice(dir.length + 1))
  const own = { from: diskPath(layout, shed), to: inStaging(snapshotDisk(layout, { name, rootfs: shed.rootfs })) }
  return await whileVolumesRest(context, withVolumes ? shed : { volumes: [] }, async (volumes) => {
    const written = volumes.filter(({ read_only }) => !read_only).map(({ volume }) => volume)
    const theirs = written.map((volume) => ({
      from: layout.volume(volume).data,
      to: inStaging(layout.snapshotVolume(name, volume)),
    }))
    const disks = [own, ...theirs]
    const record = recordOf(shed, { request, volumes })
    const tell = onCut && ((memory: CutMemory | undefined) => onCut({ record, memory }))
    const cut = async () =>
      withMemory
        ? await cutWithMemory(context, shed, { disks, directory, onCut: tell })
        : await whileAwake(context, shed, async () => await cutDisks(context, shed.name, disks))
    const live = context.live.get(shed.name)
    const pauseMs = live === undefined ? await cut() : await whileItLives(context, live, cut)
    if (!withMemory) tell?.(undefined)
    return {
      ...record,
      ...(pauseMs === undefined ? {} : { pause_ms: pauseMs }),
      ...(withMemory && onCut === undefined ? await memoryOf(directory) : {}),
    }
  })
}

/** What makes no sense is refused before a guest stands still. */
function refuseWithoutMemory(
  { live }: ShedsContext,
  shed: ShedRecord,
  { volumes, with_secrets: withSecrets }: CutShed['request'],
): void {
  const { name } = shed
  const running = live.get(name)
  if (shed.status !== 'cold') {
    if (running === undefined) throw shedNotRunning(name)
    refuseUnsavable(running)
  }
  if (volumes === false && shed.volumes.length > 0) {
    throw new Problem('INVALID_REQUEST', `what is in the memory of ${name} goes on with its volumes, and not without`, {
      hint: 'leave --no-volumes out',
    })
  }
  refuseSecrets({ what: name, secrets: secretsInMemory(shed), withSecrets })
}

interface WithMemory {
  readonly disks: readonly DiskToCut[]
  readonly directory: string
  readonly onCut: ((memory: CutMemory) => void) | undefined
}

/** @returns how long its vCPUs stood still, in milliseconds; undefined of one that sleeps */
async function cutWithMemory(
  context: ShedsContext,
  shed: ShedRecord,
  { disks, directory: to, onCut }: WithMemory,
): Promise<number | undefined> {
  const copyDisks = () => cloneDisks(disks)
  const live = context.live.get(shed.name)
  if (live === undefined) {
    const memory = await copyMemory(context, shed, { to, copyDisks })
    onCut?.(memory)
    return undefined
  }
  await writeBack(live)
  return (await cutMemory(context, shed, { live, to, for: { copyDisks, onCut } })).pauseMs
}

async function memoryOf(directory: string): Promise<Required<Pick<SnapshotRecord, 'memory'>>> {
  const { memoryRecord, memSnap, vmSnap } = memoryIn(directory)
  const [record, ram, state] = await Promise.all([memoryRecord, memSnap, vmSnap].map((path) => stat(path)))
  return {
    memory: { ram_bytes: ram?.size ?? 0, state_bytes: state?.size ?? 0, record_bytes: record?.size ?? 0 },
  }
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

interface NewRecord {
  readonly request: CutShed['request']
  readonly volumes: SnapshotVolume[]
}

function recordOf(shed: ShedRecord, { request: { name, comment, memory }, volumes }: NewRecord): SnapshotRecord {
  const { image, cpus, memory_bytes, upper_bytes, rootfs, network, io, env, labels, defaults } = shed
  return {
    version: 1,
    name,
    id: newId(),
    ...(comment === undefined ? {} : { comment }),
    shed: { name: shed.name, id: shed.id },
    ...(shed.snapshot === undefined ? {} : { parent: shed.snapshot.name }),
    ...(shed.forked_from === undefined ? {} : { forked_from: shed.forked_from }),
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
    ...(memory === true ? withSecretsInMemory(secretsInMemory(shed)) : {}),
    created_at: new Date().toISOString(),
  }
}
