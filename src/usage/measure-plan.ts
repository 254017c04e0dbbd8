import type { DataLayout } from '../base/index.ts'
import type { PruneItem, UsageOwner } from '../contract/index.ts'
import type { Measurement, OwnersSpace } from './accounting/measured-file.ts'
import type { Accounting } from './accounting/open-accounting.ts'
import { noBytes } from './accounting/space.ts'
import type { Inventory } from './inventory.ts'
import type { PrunePlan, PruneStep } from './plan-prune.ts'
import { type UsageOwners, usageOwners } from './usage-owners.ts'

export interface MeasurePlan {
  readonly inventory: Inventory
  readonly layout: DataLayout
  readonly accounting: Pick<Accounting, 'measure'>
}

/** A plan with what each of its steps frees on the disk once those before it are done. Nothing that was measured before is believed. */
export async function measurePlan(plan: PrunePlan, given: MeasurePlan): Promise<PrunePlan> {
  const owners = usageOwners(given.inventory, given.layout)
  const ownership = { owners: plan.steps.length + owners.things.length, ofFile: goingAndStaying(plan.steps, owners) }
  const { root } = given.layout
  const measured = await given.accounting.measure({ files: owners.files, fresh: true, ownerships: [ownership] })
  const names = [...plan.steps.map(({ item }) => nameOf(item)), ...owners.things]
  const steps = plan.steps.map((step, at) => ({ ...step, item: measuredItem(step, at, { measured, names }) }))
  return { ...plan, steps: [...reservations(measured, root), ...steps] }
}

/**
 * Steps are the first owners, in the order in which they go; after them come things that have what stays. A file that goes in two steps, by two
 * of its names, goes with the last of them.
 */
function goingAndStaying(steps: readonly PruneStep[], { files, numbers, things }: UsageOwners): number[][] {
  const going = files.map((): number[] => [])
  const names = files.map(() => 0)
  for (const [step, { paths }] of steps.entries()) {
    for (const path of new Set(paths)) {
      const file = numbers.get(path) ?? -1
      names[file] = (names[file] ?? 0) + 1
      if (going[file]?.at(-1) !== step) going[file]?.push(step)
    }
  }
  const known = files.map(() => 0)
  for (const file of numbers.values()) known[file] = (known[file] ?? 0) + 1
  const staying = files.map((): number[] => [])
  for (const [thing, { files: own }] of things.entries()) {
    for (const { path } of own) staying[numbers.get(path) ?? -1]?.push(steps.length + thing)
  }
  return files.map(
    (_, file) => ((names[file] ?? 0) < (known[file] ?? 1) || going[file]?.length === 0 ? staying : going)[file] ?? [],
  )
}

interface Measured {
  readonly measured: Measurement
  readonly names: readonly UsageOwner[]
}

function measuredItem({ item, kind }: PruneStep, at: number, { measured, names }: Measured): PruneItem {
  // What is kept of a console is written anew: it is not known before how much that takes.
  if (kind === 'log') return { ...item, marginal_bytes: item.freed.physical_bytes }
  const space = measured.ownerships[0]
  const { atLeast, atMost } = space?.marginal[at] ?? noBytes
  return {
    ...item,
    marginal_bytes: atLeast,
    ...(atMost === atLeast ? {} : { marginal_bytes_max: Math.min(atMost, Number.MAX_SAFE_INTEGER) }),
    ...(freesNothingAlone(space, at)
      ? { shared_with: (space?.closest[at] ?? []).flatMap((other) => names[other] ?? []) }
      : {}),
  }
}

function freesNothingAlone(space: OwnersSpace | undefined, at: number): boolean {
  return space?.exclusive[at]?.atMost === 0 && (space.held[at]?.atMost ?? 0) > 0
}

function nameOf({ kind, name, path }: PruneItem): UsageOwner {
  return { kind: kind === 'instance' ? 'shed' : kind, name: name ?? path ?? '' }
}

/** Below this it is not worth a line: xfs always holds a little ready. */
const worthReleasing = 2 ** 20

function reservations({ reservedBytes }: Measurement, root: string): PruneStep[] {
  if (reservedBytes < worthReleasing) return []
  const freed = { logical_bytes: 0, physical_bytes: reservedBytes }
  const item = {
    kind: 'reservation' as const,
    path: root,
    action: 'release' as const,
    freed,
    marginal_bytes: reservedBytes,
  }
  return [{ kind: 'reservation', item, paths: [] }]
}
