import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { type DataLayout, formatDuration, shortDigest } from '../base/index.ts'
import type { PruneItem, PruneQuery, PruneScope, PruneSkip, Shed } from '../contract/index.ts'
import { type DiskFile, type ImageHolding, type Inventory, type Orphan, sumSizes } from './inventory.ts'

/** One thing to do, and what must still be true when it is done. */
export type PruneStep =
  | { readonly kind: 'instance'; readonly item: PruneItem; readonly shed: Shed }
  | { readonly kind: 'image'; readonly item: PruneItem; readonly digest: string }
  | { readonly kind: 'orphan'; readonly item: PruneItem; readonly file: Orphan }
  | {
      readonly kind: 'log'
      readonly item: PruneItem
      readonly shed: Shed
      readonly path: string
      readonly keepBytes: number
    }

/** What a prune would do: a value that is shown, kept and then carried out as it was shown. */
export interface PrunePlan {
  readonly id: string
  readonly scope: readonly PruneScope[]
  readonly untilMs: number
  readonly steps: readonly PruneStep[]
  readonly skipped: readonly PruneSkip[]
}

/** Half-made things may be in the making for this long. */
const youngMs = 3600e3
const defaultScope: readonly PruneScope[] = ['images', 'instances', 'orphans']

/** Works out a prune: sheds first, then images as they will be once those sheds are gone, then orphans, then logs. */
export function planPrune(inventory: Inventory, query: PruneQuery, layout: DataLayout): PrunePlan {
  const scope = query.scope === undefined || query.scope.length === 0 ? defaultScope : [...new Set(query.scope)]
  const steps: PruneStep[] = []
  const skipped: PruneSkip[] = []
  const plan = { inventory, query, layout, steps, skipped }
  if (scope.includes('instances')) planInstances(plan)
  if (scope.includes('images')) planImages(plan)
  if (scope.includes('orphans')) planOrphans(plan)
  if (scope.includes('logs')) planLogs(plan)
  return { id: planId(steps), scope, untilMs: query.until_ms, steps, skipped }
}

interface Planning {
  readonly inventory: Inventory
  readonly query: PruneQuery
  readonly layout: DataLayout
  readonly steps: PruneStep[]
  readonly skipped: PruneSkip[]
}

function planInstances({ inventory, query, steps, skipped }: Planning): void {
  for (const { shed, files } of inventory.sheds) {
    const reason = whyKept(shed, { now: inventory.takenAt.getTime(), untilMs: query.until_ms })
    if (reason !== undefined) skipped.push({ kind: 'instance', name: shed.name, reason })
    else {
      const item = { kind: 'instance' as const, name: shed.name, action: 'remove' as const, freed: sumSizes(files) }
      steps.push({ kind: 'instance', item, shed })
    }
  }
}

function whyKept(shed: Shed, { now, untilMs }: { now: number; untilMs: number }): string | undefined {
  if (shed.status === 'running') return 'cannot prune running shed'
  if (shed.status === 'broken') return `cannot prune broken shed: ${shed.status_reason ?? 'its record cannot be read'}`
  if (shed.status !== 'stopped' && shed.status !== 'crashed') return `cannot prune shed that is ${shed.status}`
  const age = now - Date.parse(shed.changed_at)
  return age < untilMs ? `too recent (${formatDuration(age)} < ${formatDuration(untilMs)})` : undefined
}

function planImages({ inventory, steps, skipped }: Planning): void {
  const going = new Set(steps.flatMap((step) => (step.kind === 'instance' ? [step.shed.name] : [])))
  const staying = inventory.sheds.map(({ shed }) => shed).filter((shed) => !going.has(shed.name))
  const kept: ImageHolding[] = []
  const unused: ImageHolding[] = []
  for (const image of inventory.images) {
    const users = staying.filter((shed) => mayUse(shed, image))
    if (users.length === 0) unused.push(image)
    else {
      kept.push(image)
      const reason = `used by ${users.map((shed) => shed.name).join(', ')}`
      skipped.push({ kind: 'image', name: imageName(image), reason })
    }
  }
  // What an image frees is what no image that stays holds, and what none before it in the plan has freed already.
  const held = new Set(kept.flatMap(allFiles).map((file) => file.path))
  for (const image of unused) {
    const freed = allFiles(image).filter((file) => !held.has(file.path))
    for (const file of freed) held.add(file.path)
    const item = {
      kind: 'image' as const,
      name: imageName(image),
      path: freed[0]?.path,
      action: 'remove' as const,
      freed: sumSizes(freed),
    }
    steps.push({ kind: 'image', item: dropUndefinedPath(item), digest: image.entry.digest })
  }
}

/** A shed that cannot be read may need any image: nothing is removed from under it. */
function mayUse(shed: Shed, { entry }: ImageHolding): boolean {
  if (shed.status === 'broken') return true
  return entry.manifests.some(({ digest }) => digest === shed.image.manifest_digest)
}

function imageName({ entry }: ImageHolding): string {
  return entry.tags.length === 0 ? `<none>@${shortDigest(entry.digest)}` : entry.tags.join(', ')
}

function allFiles({ files, layers }: ImageHolding): DiskFile[] {
  return [...files, ...layers]
}

function planOrphans({ inventory, steps, skipped }: Planning): void {
  for (const file of inventory.orphans) {
    const age = inventory.takenAt.getTime() - file.modifiedAt
    if (age < youngMs) {
      const reason = `too recent (${formatDuration(age)} < ${formatDuration(youngMs)}): it may be in the making`
      skipped.push({ kind: 'orphan', path: file.path, reason })
    } else {
      const item = {
        kind: 'orphan' as const,
        path: file.path,
        action: 'remove' as const,
        freed: file.size,
        reason: file.why,
      }
      steps.push({ kind: 'orphan', item, file })
    }
  }
}

function planLogs({ inventory, query, layout, steps }: Planning): void {
  const removed = new Set(steps.flatMap((step) => (step.kind === 'instance' ? [step.shed.name] : [])))
  for (const { shed, files } of inventory.sheds) {
    const { console: path } = layout.shed(shed.name)
    const log = files.find((file) => file.path === path)
    if (log === undefined || removed.has(shed.name) || log.size.logical_bytes <= query.log_tail_bytes) continue
    const freed = {
      logical_bytes: log.size.logical_bytes - query.log_tail_bytes,
      physical_bytes: Math.max(0, log.size.physical_bytes - roundUp(query.log_tail_bytes, 4096)),
    }
    const item = { kind: 'log' as const, name: shed.name, path, action: 'truncate' as const, freed }
    steps.push({ kind: 'log', item, shed, path, keepBytes: query.log_tail_bytes })
  }
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}

/** Names what would be done, not what it would free: a log that grew is still the same plan. */
function planId(steps: readonly PruneStep[]): string {
  const what = steps.map(({ kind, item }) => [
    kind,
    item.action,
    item.name ?? basename(item.path ?? ''),
    item.path ?? '',
  ])
  return createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 16)
}

function dropUndefinedPath(item: Omit<PruneItem, 'path'> & { readonly path?: string | undefined }): PruneItem {
  const { path, ...rest } = item
  return path === undefined ? rest : { ...rest, path }
}
