import { type DataLayout, formatDuration, formatSize, isProblem, Problem, shortDigest } from '../base/index.ts'
import {
  type DedupeReport,
  PruneQuery,
  type PruneReport,
  type TrimReport,
  type UsageReport,
} from '../contract/index.ts'
import { filesystemOf, measureSpace } from '../host/index.ts'
import type { CacheKeeper, Images } from '../images/index.ts'
import { lazyUses, removeLazyLower } from '../lazy/index.ts'
import type { Sheds } from '../sheds/index.ts'
import type { EventLog, UsageHistory } from '../state/index.ts'
import type { Measurement } from './accounting/measured-file.ts'
import { type Accounting, openAccounting } from './accounting/open-accounting.ts'
import { runDedupe } from './dedupe/run-dedupe.ts'
import { openCacheKeeper } from './eviction/keep-cache.ts'
import { type LazyEntry, lazyEntries } from './eviction/lazy-entry.ts'
import { noEviction, planCacheEviction } from './eviction/plan-cache-eviction.ts'
import type { CacheBudget } from './eviction/plan-eviction.ts'
import { executePrune, type PruneHands } from './execute-prune.ts'
import { fileFinder } from './find-files.ts'
import { keepHistory } from './history/keep-history.ts'
import { filesInWork, type Inventory, type InventorySources, takeStock } from './inventory.ts'
import { keepStock, measureRequest, type Stock } from './keep-stock.ts'
import { keptRows } from './kept-rows.ts'
import { measurePlan } from './measure-plan.ts'
import { oneAtATime } from './one-at-a-time.ts'
import {
  goingSheds,
  type PrunePlan,
  planPrune,
  prunesCache,
  prunesImages,
  prunesLayers,
  prunesLazy,
  prunesToBudget,
} from './plan-prune.ts'
import { isSpared } from './pressure/is-spared.ts'
import { openPressureKeeper, type PressureKeeper, type PressureSettings } from './pressure/relieve-pressure.ts'
import { rememberLast } from './remember-last.ts'
import { reportAt, reportUsage, type ServerIdentity } from './report-usage.ts'
import { trimSheds } from './trim-sheds.ts'
import type { Usage } from './usage.ts'
import { explainThing, filesystemFigures, findThing, usageFigures } from './usage-figures.ts'
import { deletedFiles, imageName, usageOwners } from './usage-owners.ts'

export interface UsageOptions extends ServerIdentity {
  readonly layout: DataLayout
  readonly images: Images
  readonly sheds: Sheds
  readonly events: EventLog
  readonly history: UsageHistory
  /** What the cache is kept within. */
  readonly cacheBudget?: CacheBudget
  /** When it is pruned unasked; never when left out. */
  readonly pressure?: PressureSettings | undefined
  /**
   * After so many milliseconds it looks at the disk unasked, so that whoever asks afterwards for the first time hears from memory what has not changed.
   * Never when left out.
   */
  readonly lookAheadMs?: number
}

/** Plans that were shown and may still be carried out. */
const rememberedPlans = 64

export function openUsage(options: UsageOptions): Usage {
  const accounting = openAccounting()
  const plans = new Map<string, PrunePlan>()
  const sources = currentSources(options)
  const inventory = async () => ({ ...takeStock(await sources()), takenAt: new Date() })
  const measuredPlan = async (taken: Inventory, query: PruneQuery) =>
    await measurePlan(await makePlan(taken, query, { ...options, accounting }), {
      inventory: taken,
      layout: options.layout,
      accounting,
    })
  const keeper = openCacheKeeper({
    ...options,
    budget: options.cacheBudget ?? {},
    removeLazy: async (chunkIndex) => await removeLazyLower(options.layout, chunkIndex),
    async plan(budget, sparing) {
      const taken = await inventory()
      const lazy = await lazyOf(taken, options)
      return await planCacheEviction({ ...options, inventory: taken, accounting, budget, sparing, lazy })
    },
  })
  const pressure =
    options.pressure === undefined ? undefined : keepFree(options, options.pressure, { accounting, inventory })
  const recall = (id: string): PrunePlan => {
    const plan = plans.get(id)
    if (plan !== undefined) return plan
    throw new Problem('PLAN_CHANGED', `there is no plan ${id} any more`, {
      hint: 'look at what would be removed now: cowshed system prune --dry-run',
    })
  }
  const oneDedupe = oneAtATime()
  const currentReport = reporter({ ...options, accounting, sources })
  const report = async () => {
    const told = await currentReport()
    return { ...told, notes: [...told.notes, ...(pressure?.notes() ?? [])] }
  }
  const history = keepHistory({ history: options.history, report })
  const ahead = lookAhead(options.lookAheadMs, report)
  return {
    async df() {
      const taken = await report()
      history.note(taken)
      return taken
    },
    growth: (sinceMs) => history.growth(sinceMs),
    async explain(name) {
      const taken = await inventory()
      const owners = usageOwners(taken, options.layout)
      const thing = findThing(owners, name, tagsOf(taken))
      const explain = owners.things.indexOf(thing)
      return explainThing(thing, owners, await accounting.measure({ ...measureRequest(owners), explain }))
    },
    async prune(query) {
      const plan = query.plan_id === undefined ? await measuredPlan(await inventory(), query) : recall(query.plan_id)
      if (!query.dry_run) return await carryOut(plan, query, { ...options, accounting, takeInventory: inventory })
      remember(plans, plan)
      return reportPrune(plan, query, options)
    },
    dedupe: async (request, work = {}) =>
      await oneDedupe(async () => {
        for (const name of request.names) await options.sheds.get(name)
        const report = await runDedupe(request, { ...options, ...work, inventory: await inventory() })
        if (!report.dry_run) tellDeduped(options, report)
        return report
      }),
    trim: async (request, work = {}) => {
      const report = await trimSheds(request, { ...options, ...work, accounting, takeInventory: inventory })
      if (!report.dry_run) tellTrimmed(options, report)
      return report
    },
    keeper: pressure === undefined ? keeper : bothKeepers(keeper, pressure, options.cacheBudget),
    async close() {
      await pressure?.close()
      history.close()
      await keeper.close()
      ahead.cancel()
      await accounting.close()
      await ahead.done()
    },
  }
}

/** Who asks for a report is told what is wrong with the disk; nobody has asked for this one. */
function lookAhead(afterMs: number | undefined, report: () => Promise<unknown>) {
  let looking: Promise<unknown> = Promise.resolve()
  const look = () => {
    looking = report().catch(() => undefined)
  }
  const timer = afterMs === undefined ? undefined : setTimeout(look, afterMs).unref()
  return { cancel: () => clearTimeout(timer), done: () => looking }
}

interface Measuring {
  readonly accounting: Accounting
  readonly inventory: () => Promise<Inventory>
}

/** Prunes by the plan that one who asks is shown, but for what nobody would ask for. */
function keepFree(options: UsageOptions, settings: PressureSettings, { accounting, inventory }: Measuring) {
  const { layout, events } = options
  return openPressureKeeper({
    settings,
    events,
    freeBytes: async () => (await filesystemOf(layout.root)).freeBytes,
    async plan(wanted, manifests) {
      const taken = await inventory()
      const whole = await makePlan(taken, PruneQuery.parse(wanted), { ...options, accounting })
      const spare = { inventory: taken, manifests, untilMs: settings.untilMs }
      const steps = whole.steps.filter((step) => !isSpared(step, spare))
      return await measurePlan({ ...whole, steps }, { inventory: taken, layout, accounting })
    },
    execute: async (plan) => await executePrune(plan, { ...options, accounting, takeInventory: inventory }),
  })
}

/** The budget of the cache first: what it frees need not be pruned. */
function bothKeepers(cache: CacheKeeper, pressure: PressureKeeper, budget: CacheBudget = {}): CacheKeeper {
  const hasBudget = Object.values(budget).some((bytes) => bytes !== undefined)
  return {
    async grown(growth) {
      if (hasBudget) await cache.grown(growth)
      await pressure.check(growth)
    },
    makeRoom: async (growth, bytes) =>
      (hasBudget && (await cache.makeRoom(growth, bytes))) || (await pressure.check(growth)),
  }
}

/** What an image is called in the accounting, by each of its tags. */
function tagsOf({ images }: Inventory): Map<string, string> {
  return new Map(images.flatMap((image) => image.entry.tags.map((tag) => [tag, imageName(image)] as const)))
}

/** Looks at all files first: what is made meanwhile has nothing yet, and is no waste for that. */
function currentSources({ layout, images, sheds }: UsageOptions): () => Promise<InventorySources> {
  const finder = fileFinder(layout.root)
  return async () => {
    const files = await finder.find()
    const [catalog, all, snapshots, volumes] = await Promise.all([
      images.catalog({ onDamage: 'show' }),
      sheds.list(finder.seen),
      sheds.snapshots.list(),
      sheds.volumes.list(finder.seen),
    ])
    const inWork = filesInWork(layout, files.keys(), images.isInFlight)
    return { layout, files, images: catalog, sheds: all, snapshots, volumes, inWork }
  }
}

interface Reporter extends UsageOptions {
  readonly accounting: Accounting
  readonly sources: () => Promise<InventorySources>
}

/** Each step is taken again only when what it is taken from is another than the last time. */
function reporter({ accounting, sources, layout, serverName, backend }: Reporter): () => Promise<UsageReport> {
  const stockOf = keepStock(layout)
  const rows = keptRows()
  const tell = rememberLast(({ holdings, owners }: Stock, measured: Measurement) =>
    reportUsage(holdings, { figures: usageFigures(owners, measured), server: { serverName, backend }, layout, rows }),
  )
  return async () => {
    const prepared = accounting.prepare()
    const found = await sources()
    const at = new Date()
    const stock = stockOf(found, deletedFiles(found.sheds, layout))
    const measured = await accounting.measure(stock.request, prepared)
    return reportAt(at, tell(stock, measured), filesystemFigures(measureSpace(layout.root), measured))
  }
}

interface MakePlan extends UsageOptions {
  readonly accounting: Accounting
}

async function makePlan(
  inventory: Inventory,
  query: PruneQuery,
  { images, layout, accounting }: MakePlan,
): Promise<PrunePlan> {
  const withoutUsers = goingSheds({ inventory, query })
  // Somebody who may need an image cannot be read: no image is removed, and the report says why.
  const removals = prunesImages(query)
    ? await orProblem(images.planRemovals({ images: inventory.images.map(({ entry }) => entry.digest), withoutUsers }))
    : []
  const drops = prunesLayers(query) ? await orProblem(images.planLayerDrops()) : []
  const lazy = prunesLazy(query) || prunesToBudget(query) ? await orProblem(lazyOf(inventory, { images, layout })) : []
  const eviction = prunesCache(query)
    ? await orProblem(
        planCacheEviction({
          inventory,
          images,
          layout,
          accounting,
          removals: isProblem(removals) ? [] : removals,
          budget: { maxUsedBytes: query.max_used_bytes, keepFreeBytes: query.keep_free_bytes },
          unusedForMs: query.until_ms,
          // Else they are looked at by themselves.
          lazy: prunesLazy(query) || isProblem(lazy) ? [] : lazy,
        }),
      )
    : noEviction
  return planPrune({ inventory, query, layout, removals, drops, eviction, lazy })
}

/** What is partly here, with what keeps it. @throws Problem RECORD_INVALID when that cannot be known */
async function lazyOf(
  inventory: Inventory,
  { images, layout }: Pick<UsageOptions, 'images' | 'layout'>,
): Promise<LazyEntry[]> {
  const lazy = await lazyUses(layout)
  if (lazy.length === 0) return []
  // What is pinned is known, or nothing goes.
  const asked = inventory.images.map(({ entry }) => entry.digest)
  const removals = await images.planRemovals({ images: asked, withoutUsers: new Set() })
  const names = new Map(removals.flatMap(({ digest, tags, isPinned }) => (isPinned ? [[digest, tags[0]]] : [])))
  const pinned = inventory.images.flatMap(({ entry: { digest, manifests } }) =>
    names.has(digest) ? manifests.map((one) => [one.digest, names.get(digest) ?? shortDigest(digest)] as const) : [],
  )
  return lazyEntries({ inventory, lazy, pinned: new Map(pinned), layout })
}

async function orProblem<T>(work: Promise<T>): Promise<T | Problem> {
  try {
    return await work
  } catch (error) {
    if (isProblem(error)) return error
    throw error
  }
}

async function carryOut(plan: PrunePlan, query: PruneQuery, options: UsageOptions & PruneHands): Promise<PruneReport> {
  const outcome = await executePrune(plan, options)
  const report = reportPrune(
    { ...plan, steps: plan.steps.filter(({ item }) => outcome.done.includes(item)) },
    query,
    options,
  )
  options.events.append({
    type: 'prune.executed',
    subject: options.serverName,
    message: `prune removed ${report.totals.items} items`,
    data: { plan_id: plan.id, predicted_bytes: report.totals.predicted_bytes, reclaimed_bytes: outcome.reclaimedBytes },
  })
  return {
    ...report,
    skipped: [...outcome.skipped],
    totals: { ...report.totals, reclaimed_bytes: outcome.reclaimedBytes },
  }
}

function reportPrune(plan: PrunePlan, query: PruneQuery, { serverName }: ServerIdentity): PruneReport {
  const items = plan.steps.map((step) => step.item)
  const predicted = items.reduce((sum, item) => sum + (item.marginal_bytes ?? 0), 0)
  const most = items.reduce((sum, item) => sum + (item.marginal_bytes_max ?? item.marginal_bytes ?? 0), 0)
  const freed = {
    logical_bytes: items.reduce((sum, item) => sum + item.freed.logical_bytes, 0),
    physical_bytes: items.reduce((sum, item) => sum + item.freed.physical_bytes, 0),
  }
  return {
    plan_id: plan.id,
    dry_run: query.dry_run,
    server_name: serverName,
    scope: [...plan.scope],
    until: formatDuration(plan.untilMs),
    items,
    skipped: [...plan.skipped],
    notes: [...plan.notes, 'physical bytes count the blocks of each file; a file that shares extents frees less'],
    totals: {
      freed,
      items: items.length,
      predicted_bytes: predicted,
      ...(most === predicted ? {} : { predicted_bytes_max: Math.min(most, Number.MAX_SAFE_INTEGER) }),
    },
  }
}

function remember(plans: Map<string, PrunePlan>, plan: PrunePlan): void {
  plans.set(plan.id, plan)
  for (const id of plans.keys()) {
    if (plans.size <= rememberedPlans) return
    plans.delete(id)
  }
}

function tellDeduped({ events, serverName }: UsageOptions, { totals }: DedupeReport): void {
  const { shared_bytes, predicted_bytes, reclaimed_bytes } = totals
  events.append({
    type: 'dedupe.executed',
    subject: serverName,
    message: `dedupe gave ${formatSize(reclaimed_bytes ?? 0)} back`,
    data: { shared_bytes, predicted_bytes, reclaimed_bytes },
  })
}

function tellTrimmed({ events, serverName }: UsageOptions, { items, totals }: TrimReport): void {
  const reclaimed = totals.reclaimed_bytes ?? 0
  events.append({
    type: 'trim.executed',
    subject: serverName,
    message: `trim gave ${formatSize(reclaimed)} back`,
    data: {
      sheds: items.filter(({ kind }) => kind === 'shed').map(({ name }) => name),
      volumes: items.filter(({ kind }) => kind === 'volume').map(({ name }) => name),
      reclaimed_bytes: reclaimed,
    },
  })
}
