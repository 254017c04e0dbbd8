import { createHash } from 'node:crypto'
import {
  type DataLayout,
  type Digest,
  formatDuration,
  formatSize,
  isProblem,
  type Problem,
  shortDigest,
} from '../base/index.ts'
import type { PruneItem, PruneQuery, PruneScope, PruneSkip, Shed } from '../contract/index.ts'
import type { EvictEntry, LayerDrop, RemovalPlan } from '../images/index.ts'
import { isDown } from '../sheds/index.ts'
import { pinnedReason } from '../state/index.ts'
import { type DiskFile, freedSize, sumSizes } from './disk-file.ts'
import type { LazyEntry } from './eviction/lazy-entry.ts'
import type { EvictionPlan } from './eviction/plan-eviction.ts'
import type { Inventory, Orphan } from './inventory.ts'

/** One thing to do, and what must still be true when it is done. */
export type PruneStep = {
  readonly item: PruneItem /** Names of files that go. */
  readonly paths: readonly string[]
} & (
  | { readonly kind: 'reservation' }
  | { readonly kind: 'instance'; readonly shed: Shed }
  | { readonly kind: 'image'; readonly digest: Digest; readonly tags: readonly string[] }
  | { readonly kind: 'layers'; readonly drop: LayerDrop }
  | { readonly kind: 'cache'; readonly entry: EvictEntry }
  | { readonly kind: 'lazy'; readonly chunkIndex: Digest; readonly lastUsedAt: number }
  | { readonly kind: 'orphan'; readonly file: Orphan }
  | { readonly kind: 'log'; readonly shed: Shed; readonly path: string; readonly keepBytes: number }
)

/** What a prune would do: a value that is shown, kept and then carried out as it was shown. */
export interface PrunePlan {
  readonly id: string
  readonly scope: readonly PruneScope[]
  readonly untilMs: number
  readonly steps: readonly PruneStep[]
  readonly skipped: readonly PruneSkip[]
  readonly notes: readonly string[]
}

/** Half-made things may be in the making for this long. */
const youngMs = 3600e3
const defaultScope: readonly PruneScope[] = ['images', 'instances', 'orphans']
/** For sheds. */
const defaultUntilMs = 72 * 3600e3

export interface PlanPrune {
  readonly inventory: Inventory
  readonly query: PruneQuery
  readonly layout: DataLayout
  /** What removing each image would free once the sheds of `goingSheds` are gone; a problem when that cannot be known. */
  readonly removals: readonly RemovalPlan[] | Problem
  /** Layers that images could do without; a problem when it cannot be known who needs them. */
  readonly drops: readonly LayerDrop[] | Problem
  /** What of the cache would be evicted besides; a problem when it cannot be known who needs it. */
  readonly eviction: EvictionPlan | Problem
  /** Lowers that are partly here; a problem when it cannot be known who needs them. */
  readonly lazy: readonly LazyEntry[] | Problem
}

/** Works out a prune: sheds first, then images as they will be once those sheds are gone, then layers, then the cache, then what is partly here, then orphans, then logs. */
export function planPrune(given: PlanPrune): PrunePlan {
  const scope = scopeOf(given.query)
  const steps: PruneStep[] = []
  const skipped: PruneSkip[] = []
  const plan = { ...given, steps, skipped }
  if (scope.includes('instances')) {
    planInstances(plan)
    keepSnapshots(plan)
    keepVolumes(plan)
  }
  if (scope.includes('images')) planImages(plan)
  if (scope.includes('layers')) planLayers(plan)
  if (scope.includes('cache')) planCache(plan)
  if (scope.includes('lazy')) planLazy(plan)
  if (scope.includes('orphans')) planOrphans(plan)
  if (scope.includes('logs')) planLogs(plan)
  return {
    id: planId(steps),
    scope,
    untilMs: given.query.until_ms ?? defaultUntilMs,
    steps,
    skipped,
    notes: notesOf(given),
  }
}

function notesOf({ eviction }: PlanPrune): string[] {
  if (isProblem(eviction) || eviction.shortBytes === 0) return []
  const short = formatSize(eviction.shortBytes)
  return [`the budget lacks ${short} even so: what stays of the cache is listed with its reason`]
}

/** The sheds that a prune would remove. */
export function goingSheds({ inventory, query }: Pick<PlanPrune, 'inventory' | 'query'>): Set<string> {
  if (!scopeOf(query).includes('instances')) return new Set()
  const going = inventory.sheds.filter(({ shed }) => whyKept(shed, inventory, query) === undefined)
  return new Set(going.map(({ shed }) => shed.name))
}

/** Whether a prune looks at images at all. */
export function prunesImages(query: PruneQuery): boolean {
  return scopeOf(query).includes('images')
}

/** Whether a prune looks at the layers of images at all. */
export function prunesLayers(query: PruneQuery): boolean {
  return scopeOf(query).includes('layers')
}

/** Whether a prune looks at lowers that are partly here. */
export function prunesLazy(query: PruneQuery): boolean {
  return scopeOf(query).includes('lazy')
}

/** Whether a prune keeps the cache within a budget: what is partly here goes for that, too. */
export function prunesToBudget({ max_used_bytes, keep_free_bytes }: PruneQuery): boolean {
  return max_used_bytes !== undefined || keep_free_bytes !== undefined
}

/** Whether a prune looks at the cache at all. */
export function prunesCache(query: PruneQuery): boolean {
  return scopeOf(query).includes('cache')
}

function scopeOf(query: PruneQuery): readonly PruneScope[] {
  const asked = new Set<PruneScope>([...(query.scope ?? []), ...(prunesToBudget(query) ? (['cache'] as const) : [])])
  return asked.size === 0 ? defaultScope : [...asked]
}

interface Planning extends PlanPrune {
  readonly steps: PruneStep[]
  readonly skipped: PruneSkip[]
}

function planInstances({ inventory, query, steps, skipped }: Planning): void {
  for (const { shed, files } of inventory.sheds) {
    const reason = whyKept(shed, inventory, query)
    if (reason !== undefined) skipped.push({ kind: 'instance', name: shed.name, reason })
    else {
      const item = { kind: 'instance' as const, name: shed.name, action: 'remove' as const, freed: freedSize(files) }
      steps.push({ kind: 'instance', item, shed, paths: files.map((file) => file.path) })
    }
  }
}

/** Never by a prune: they are kept because somebody wanted to. Those whose shed is gone could be taken for waste. */
function keepSnapshots({ inventory, skipped }: Planning): void {
  const there = new Set(inventory.sheds.map(({ shed }) => shed.id))
  for (const { snapshot } of inventory.snapshots) {
    if (there.has(snapshot.shed.id)) continue
    const reason = `snapshots are never pruned (to remove it: cowshed snapshot rm ${snapshot.name})`
    skipped.push({ kind: 'snapshot', name: snapshot.name, reason })
  }
}

/** Never by a prune: nothing could make again what is on one. Those that no shed has could be taken for waste. */
function keepVolumes({ inventory, skipped }: Planning): void {
  for (const { volume } of inventory.volumes) {
    if (volume.status !== 'detached') continue
    const reason = `volumes are never pruned (to remove it: cowshed volume rm ${volume.name})`
    skipped.push({ kind: 'volume', name: volume.name, reason })
  }
}

function whyKept(
  shed: Shed,
  { takenAt }: Inventory,
  { until_ms: untilMs = defaultUntilMs }: PruneQuery,
): string | undefined {
  if (shed.protected === true) return pinnedReason('shed', shed.name)
  if (shed.status === 'running') return 'cannot prune running shed'
  if (shed.status === 'broken') return `cannot prune broken shed: ${shed.status_reason ?? 'its record cannot be read'}`
  if (!isDown(shed)) return `cannot prune shed that is ${shed.status}`
  const age = takenAt.getTime() - Date.parse(shed.changed_at)
  return age < untilMs ? `too recent (${formatDuration(age)} < ${formatDuration(untilMs)})` : undefined
}

function planImages({ removals, steps, skipped }: Planning): void {
  if (isProblem(removals)) {
    skipped.push({ kind: 'image', reason: `nothing is removed: ${removals.message}` })
    return
  }
  for (const { digest, tags, isPinned, usedBy, files } of removals) {
    const name = nameOf({ digest, tags })
    if (isPinned) {
      skipped.push({ kind: 'image', name, reason: pinnedReason('image', tags[0] ?? shortDigest(digest)) })
      continue
    }
    if (usedBy.length > 0) {
      skipped.push({ kind: 'image', name, reason: `used by ${usedBy.join(', ')}` })
      continue
    }
    const [first] = files
    const freed = freedBy(files)
    const path = first === undefined ? {} : { path: first.path }
    const item = { kind: 'image' as const, name, ...path, action: 'remove' as const, freed }
    steps.push({ kind: 'image', item, digest, tags, paths: files.map((file) => file.path) })
  }
}

function nameOf({ digest, tags }: Pick<RemovalPlan, 'digest' | 'tags'>): string {
  return tags.length === 0 ? `<none>@${shortDigest(digest)}` : tags.join(', ')
}

function freedBy(files: RemovalPlan['files']): PruneItem['freed'] {
  return {
    logical_bytes: files.reduce((sum, file) => sum + file.logicalBytes, 0),
    physical_bytes: files.reduce((sum, file) => sum + file.physicalBytes, 0),
  }
}

function planLayers({ drops, steps, skipped }: Planning): void {
  if (isProblem(drops)) {
    skipped.push({ kind: 'layers', reason: `nothing is removed: ${drops.message}` })
    return
  }
  for (const drop of drops) {
    const name = nameOf(drop)
    if (drop.kept !== undefined) skipped.push({ kind: 'layers', name, reason: drop.kept })
    if (drop.files.length === 0) continue
    const item = { kind: 'layers' as const, name, action: 'remove' as const, freed: freedBy(drop.files) }
    steps.push({ kind: 'layers', item, drop, paths: drop.files.map(({ path }) => path) })
  }
}

function planCache({ eviction, steps, skipped }: Planning): void {
  if (isProblem(eviction)) {
    skipped.push({ kind: 'cache', reason: `nothing is evicted: ${eviction.message}` })
    return
  }
  for (const { entry, marginal } of eviction.steps) {
    if (entry.kind === 'lazy') {
      steps.push(lazyStep(entry, marginal.atLeast))
      continue
    }
    const { kind, digest, unit, name, files, lastUsedAt } = entry
    const item = {
      kind: 'cache' as const,
      name,
      ...pathOf(files),
      action: 'remove' as const,
      freed: sumSizes(files),
      marginal_bytes: marginal.atLeast,
      last_used_at: new Date(lastUsedAt).toISOString(),
    }
    const paths = files.map((file) => file.path)
    steps.push({ kind: 'cache', item, entry: { kind, digest, unit, ifUnusedSince: lastUsedAt }, paths })
  }
  for (const { entry, reason } of eviction.kept) {
    skipped.push({ kind: entry.kind === 'lazy' ? 'lazy' : 'cache', name: entry.name, reason })
  }
}

/** All of it can be fetched again, if its registry is still there: it goes only when somebody asks for that, or for a budget. */
function planLazy({ lazy, inventory, query, steps, skipped }: Planning): void {
  if (isProblem(lazy)) {
    skipped.push({ kind: 'lazy', reason: `nothing is removed: ${lazy.message}` })
    return
  }
  const untilMs = query.until_ms ?? 0
  for (const entry of lazy) {
    const age = inventory.takenAt.getTime() - entry.lastUsedAt
    const tooRecent = `too recent (${formatDuration(age)} < ${formatDuration(untilMs)})`
    const reason = entry.keptBy ?? (age < untilMs ? tooRecent : undefined)
    if (reason === undefined) steps.push(lazyStep(entry))
    else skipped.push({ kind: 'lazy', name: entry.name, reason })
  }
}

function lazyStep({ name, files, chunkIndex, lastUsedAt }: LazyEntry, marginalBytes?: number): PruneStep {
  const item = {
    kind: 'lazy' as const,
    name,
    ...pathOf(files),
    action: 'remove' as const,
    freed: freedSize(files),
    ...(marginalBytes !== undefined && { marginal_bytes: marginalBytes }),
    last_used_at: new Date(lastUsedAt).toISOString(),
  }
  return { kind: 'lazy', item, chunkIndex, lastUsedAt, paths: files.map(({ path }) => path) }
}

/** The largest stands for all. */
function pathOf(files: readonly DiskFile[]): { path?: string } {
  const [largest] = [...files].sort((a, b) => b.size.physical_bytes - a.size.physical_bytes)
  return largest === undefined ? {} : { path: largest.path }
}

function planOrphans({ inventory, layout, steps, skipped }: Planning): void {
  const lastTouched = lastTouchedIn(inventory.orphans, layout)
  for (const file of inventory.orphans) {
    const age = inventory.takenAt.getTime() - lastTouched(file)
    const [unreadable] = inventory.unreadable
    if (unreadable !== undefined && file.holds !== undefined) {
      skipped.push({ kind: 'orphan', path: file.path, reason: `what needs it cannot be known: ${unreadable}` })
    } else if (age < youngMs) {
      const reason = `too recent (${formatDuration(age)} < ${formatDuration(youngMs)}): it may be in the making`
      skipped.push({ kind: 'orphan', path: file.path, reason })
    } else {
      const item = {
        kind: 'orphan' as const,
        path: file.path,
        action: 'remove' as const,
        freed: freedSize([file]),
        reason: file.why,
      }
      steps.push({ kind: 'orphan', item, file, paths: [file.path] })
    }
  }
}

/** When a file was last written to; for one in staging, when anything of the same work was: a long load has files that it finished long ago. */
function lastTouchedIn(orphans: readonly Orphan[], { staging }: DataLayout): (file: Orphan) => number {
  const workOf = (path: string) => path.slice(0, path.indexOf('/', staging.length + 1))
  const newest = new Map<string, number>()
  for (const { path, modifiedAt } of orphans) {
    if (path.startsWith(`${staging}/`)) newest.set(workOf(path), Math.max(modifiedAt, newest.get(workOf(path)) ?? 0))
  }
  return ({ path, modifiedAt }) => (path.startsWith(`${staging}/`) && newest.get(workOf(path))) || modifiedAt
}

function planLogs({ inventory, query, layout, steps }: Planning): void {
  const removed = new Set(steps.flatMap((step) => (step.kind === 'instance' ? [step.shed.name] : [])))
  for (const { shed, files } of inventory.sheds) {
    const { console: path } = layout.shed(shed.name)
    const log = files.find((file) => file.path === path)
    if (log === undefined || removed.has(shed.name) || log.size.logical_bytes <= query.log_tail_bytes) continue
    const freed = {
      logical_bytes: log.size.logical_bytes - query.log_tail_bytes,
      physical_bytes: Math.max(0, log.size.physical_bytes - keptBlocks(query.log_tail_bytes)),
    }
    if (freed.physical_bytes === 0) continue
    const item = { kind: 'log' as const, name: shed.name, path, action: 'truncate' as const, freed }
    steps.push({ kind: 'log', item, shed, path, keepBytes: query.log_tail_bytes, paths: [] })
  }
}

/** The tail may begin anywhere in a block, and what is before it in that block stays: truncate-log.ts. */
function keptBlocks(tailBytes: number): number {
  return tailBytes === 0 ? 0 : (Math.ceil(tailBytes / 4096) + 1) * 4096
}

/** What must still be so when a step is carried out. */
function conditionsOf(step: PruneStep): readonly (string | number)[] {
  switch (step.kind) {
    case 'reservation':
      return []
    case 'instance':
      return [step.shed.id, step.shed.changed_at]
    case 'image':
      return [step.digest]
    case 'layers':
      return step.drop.files.map(({ digest }) => digest)
    case 'cache':
      return [step.entry.ifUnusedSince]
    case 'lazy':
      return [step.chunkIndex]
    case 'orphan':
      return [step.file.modifiedAt]
    case 'log':
      return [step.keepBytes]
  }
}

/** Names what would be done, not what it would free: a log that grew is still the same plan. */
function planId(steps: readonly PruneStep[]): string {
  const what = steps.map((step) => [step.kind, step.item.action, step.item.name, step.item.path, ...conditionsOf(step)])
  return createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 16)
}
