import type { Snapshot } from '../../contract/index.ts'
import type { PinSet } from '../../state/index.ts'
import type { SnapshotEntry } from './load-snapshot.ts'

/** A snapshot as it is shown, one that is broken too. */
export function snapshotView(entry: SnapshotEntry, pins: PinSet): Snapshot {
  const kept = pins.has({ kind: 'snapshot', id: entry.name }) ? { protected: true as const } : {}
  if (entry.snapshot === undefined)
    return { ...nothing, name: entry.name, status_reason: entry.problem.message, ...kept }
  const { record, physicalBytes, memory } = entry.snapshot
  const { name, id, comment, shed, parent, image, rootfs, upper_bytes, volumes, pause_ms, created_at } = record
  const { forked_from, secrets_in_memory, imported_at } = record
  return {
    name,
    id,
    status: 'whole',
    ...(comment === undefined ? {} : { comment }),
    shed,
    ...(parent === undefined ? {} : { parent }),
    ...(forked_from === undefined ? {} : { forked_from }),
    image,
    rootfs,
    bytes: upper_bytes,
    physical_bytes: physicalBytes,
    volumes,
    ...(record.memory === undefined || memory === undefined
      ? {}
      : {
          memory: {
            bytes: record.memory.ram_bytes,
            physical_bytes: memory.physicalBytes,
            ...(memory.isCompressed ? { compressed: true as const } : {}),
          },
        }),
    ...(secrets_in_memory === undefined ? {} : { secrets_in_memory }),
    ...(pause_ms === undefined ? {} : { pause_ms }),
    ...kept,
    created_at,
    ...(imported_at === undefined ? {} : { imported_at }),
  }
}

/** Of one that cannot be used nothing is known. */
const nothing: Snapshot = {
  name: '',
  id: '',
  status: 'broken',
  shed: { name: '', id: '' },
  image: { ref: '', manifest_digest: '' },
  rootfs: 'erofs',
  bytes: 0,
  physical_bytes: 0,
  volumes: [],
  created_at: new Date(0).toISOString(),
}
