import { type DataLayout, isDigest, isName, type Problem } from '../../base/index.ts'
import { CreateShedRequest } from '../../contract/index.ts'
import { snapshotParts } from './load-snapshot.ts'
import { SnapshotRecord } from './snapshot-record.ts'

interface FromElsewhere {
  readonly record: unknown
  /** The files that came with it, by their paths in the directory of a snapshot. */
  readonly parts: readonly { readonly name: string; readonly bytes: number }[]
}

/**
 * What came with a snapshot from elsewhere as its record here, if that can be: a shed with these settings, and just the files that go with it.
 *
 * @throws what `invalid` makes of the reason why it cannot
 */
export function recordFromElsewhere(
  layout: DataLayout,
  { record: value, parts }: FromElsewhere,
  invalid: (why: string, cause?: unknown) => Problem,
): SnapshotRecord {
  const parsed = SnapshotRecord.safeParse(value)
  if (!parsed.success) throw invalid(`its record: ${parsed.error.issues[0]?.message}`, parsed.error)
  const record = parsed.data
  const { name, image, cpus, memory_bytes, upper_bytes, rootfs, network, io, env, labels } = record
  const asked = { name, from_snapshot: name, cpus, memory_bytes, upper_bytes, rootfs, network, io, env, labels }
  if (!isName(name) || !isDigest(image.manifest_digest) || !CreateShedRequest.safeParse(asked).success) {
    throw invalid('no shed can be as its record says')
  }
  if (listOf(snapshotParts(layout, record)) !== listOf(parts)) {
    throw invalid('its files are not those that its record tells of')
  }
  return { ...record, imported_at: new Date().toISOString() }
}

function listOf(parts: FromElsewhere['parts']): string {
  return parts.map(({ name, bytes }) => `${name} ${bytes}`).join('\n')
}
