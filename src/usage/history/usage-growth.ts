import type { UsageGrowth, UsageReport } from '../../contract/index.ts'
import type { UsageSample } from '../../state/index.ts'
import { everything, samplesOf } from './samples-of.ts'

type Change = UsageGrowth['changes'][number]

export interface PastUsage {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly samples: readonly UsageSample[]
}

/** What has changed from one look to a report. */
export function usageGrowth(past: PastUsage, report: UsageReport): UsageGrowth {
  const before = new Map(past.samples.map((sample) => [keyOf(sample), sample]))
  const after = new Map(samplesOf(report).map((sample) => [keyOf(sample), sample]))
  const all = keyOf(everything)
  const keys = [...new Set([...before.keys(), ...after.keys()])].filter((key) => key !== all)
  const changes = keys.flatMap((key) => changeOf(before.get(key), after.get(key)) ?? [])
  return {
    server_name: report.server_name,
    generated_at: report.generated_at,
    since: new Date(past.at).toISOString(),
    accuracy: report.accuracy,
    union_bytes: { before: before.get(all)?.exclusiveBytes ?? 0, after: report.union_bytes },
    changes: changes.sort((a, b) => sizeOf(b) - sizeOf(a) || a.name.localeCompare(b.name)),
    unchanged: keys.length - changes.length,
  }
}

function changeOf(before: UsageSample | undefined, after: UsageSample | undefined): Change | undefined {
  const one = after ?? before
  if (one === undefined) return undefined
  const exclusive_bytes = { before: before?.exclusiveBytes ?? 0, after: after?.exclusiveBytes ?? 0 }
  const physical_bytes = { before: before?.physicalBytes ?? 0, after: after?.physicalBytes ?? 0 }
  const by = exclusive_bytes.after - exclusive_bytes.before || physical_bytes.after - physical_bytes.before
  if (before !== undefined && after !== undefined && by === 0) return undefined
  return { kind: one.kind, name: one.name, change: wordFor(before, after, by), exclusive_bytes, physical_bytes }
}

function wordFor(before: UsageSample | undefined, after: UsageSample | undefined, by: number): Change['change'] {
  if (before === undefined) return 'new'
  if (after === undefined) return 'gone'
  return by > 0 ? 'grown' : 'shrunk'
}

/** Of two that changed the same alone, the one whose blocks changed more comes first. */
function sizeOf({ exclusive_bytes, physical_bytes }: Change): number {
  const [alone, blocks] = [exclusive_bytes, physical_bytes].map(({ before, after }) => Math.abs(after - before))
  return (alone ?? 0) + (blocks ?? 0) / 2 ** 20
}

function keyOf({ kind, name }: Pick<UsageSample, 'kind' | 'name'>): string {
  return `${kind} ${name}`
}
