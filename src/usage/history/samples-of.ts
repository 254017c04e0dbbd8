import type { UsageReport } from '../../contract/index.ts'
import type { UsageSample } from '../../state/index.ts'

/** What is remembered of a report: images by their tags, sheds, snapshots, volumes, what there is besides by category, and all of it as one. */
export function samplesOf({ images, sheds, snapshots, volumes, totals, union_bytes }: UsageReport): UsageSample[] {
  return [
    ...images.map(({ name, files, exclusive_bytes }) => ({
      kind: 'image',
      name,
      exclusiveBytes: exclusive_bytes,
      physicalBytes: files.reduce((sum, { size }) => sum + size.physical_bytes, 0),
    })),
    ...sheds.map(sampleOf('shed')),
    ...snapshots.map(sampleOf('snapshot')),
    ...volumes.map(sampleOf('volume')),
    ...(['caches', 'orphans'] as const).map((name) => ({
      kind: 'category',
      name,
      exclusiveBytes: totals[name].exclusive_bytes,
      physicalBytes: totals[name].physical_bytes,
    })),
    { ...everything, exclusiveBytes: union_bytes, physicalBytes: totals.all.physical_bytes },
  ]
}

interface Owner {
  readonly name: string
  readonly total: { readonly physical_bytes: number }
  readonly exclusive_bytes: number
}

function sampleOf(kind: string) {
  return ({ name, total, exclusive_bytes }: Owner): UsageSample => ({
    kind,
    name,
    exclusiveBytes: exclusive_bytes,
    physicalBytes: total.physical_bytes,
  })
}

export const everything = { kind: 'all', name: '' } as const
