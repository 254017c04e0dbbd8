import { type DataLayout, formatDuration, isProblem, Problem } from '../base/index.ts'
import type { PruneQuery, PruneReport } from '../contract/index.ts'
import type { Images } from '../images/index.ts'
import type { Sheds } from '../sheds/index.ts'
import type { EventLog } from '../state/index.ts'
import type { MeasureRequest } from './accounting/measured-file.ts'
import { type Accounting, openAccounting } from './accounting/open-accounting.ts'
import { openCacheKeeper } from './eviction/keep-cache.ts'
import { noEviction, planCacheEviction } from './eviction/plan-cache-eviction.ts'
import type { CacheBudget } from './eviction/plan-eviction.ts'
import { executePrune, type PruneHands } from './execute-prune.ts'
import { type Inventory, takeInventory } from './inventory.ts'
import { measurePlan } from './measure-plan.ts'
import { goingSheds, type PrunePlan, planPrune, prunesCache, prunesImages, prunesLayers } from './plan-prune.ts'
import { reportUsage, type ServerIdentity } from './report-usage.ts'
import type { Usage } from './usage.ts'
import { explainThing, findThing, usageFigures } from './usage-figures.ts'
import { imageName, type UsageOwners, usageOwners } from './usage-owners.ts'

export interface UsageOptions extends ServerIdentity {
  readonly layout: DataLayout
  readonly images: Images
  readonly sheds: Sheds
  readonly events: EventLog
  /** What the cache is kept within. */
  readonly cacheBudget?: CacheBudget
}

/** Plans that were shown and may still be carried out. */
const rememberedPlans = 64

export function openUsage(options: UsageOptions): Usage {
  const accounting = openAccounting()
  const plans = new Map<string, PrunePlan>()
  const inventory = () => currentInventory(options)
  const measuredPlan = async (taken: Inventory, query: PruneQuery) =>
    await measurePlan(await makePlan(taken, query, { ...options, accounting }), {
      inventory: taken,
      layout: options.layout,
      accounting,
    })
  const keeper = openCacheKeeper({
    ...options,
    budget: options.cacheBudget ?? {},
    plan: async (budget, sparing) =>
      await planCacheEviction({ ...options, inventory: await inventory(), accounting, budget, sparing }),
  })
  const recall = (id: string): PrunePlan => {
    const plan = plans.get(id)
    if (plan !== undefined) return plan
    throw new Problem('PLAN_CHANGED', `there is no plan ${id} any more`, {
      hint: 'look at what would be removed now: cowshed system prune --dry-run',
    })
  }
  return {
    async df() {
      const taken = await inventory()
      const owners = usageOwners(taken, options.layout)
      const measured = await accounting.measure(measureRequest(owners, options.layout))
      return reportUsage(taken, usageFigures(owners, measured), options, options.layout)
    },
    async explain(name) {
      const taken = await inventory()
      const owners = usageOwners(taken, options.layout)
      const thing = findThing(owners, name, tagsOf(taken))
      const explain = owners.things.indexOf(thing)
      return explainThing(
        thing,
        owners,
        await accounting.measure({ ...measureRequest(owners, options.layout), explain }),
      )
    },
    async prune(query) {
      const plan = query.plan_id === undefined ? await measuredPlan(await inventory(), query) : recall(query.plan_id)
      if (!query.dry_run) return await carryOut(plan, query, { ...options, accounting, takeInventory: inventory })
      remember(plans, plan)
      return reportPrune(plan, query, options)
    },
    keeper,
    async close() {
      await keeper.close()
      await accounting.close()
    },
  }
}

/** Things, categories, and all of them as one. Files that are not cowshed's belong to nobody. */
function measureRequest({ files, byThing, byCategory }: UsageOwners, layout: DataLayout): MeasureRequest {
  const all = { owners: 1, ofFile: byCategory.ofFile.map((owners) => (owners.length === 0 ? [] : [0])) }
  return { root: layout.root, files, fresh: false, ownerships: [byThing, byCategory, all] }
}

/** What an image is called in the accounting, by each of its tags. */
function tagsOf({ images }: Inventory): Map<string, string> {
  return new Map(images.flatMap((image) => image.entry.tags.map((tag) => [tag, imageName(image)] as const)))
}

async function currentInventory({ layout, images, sheds }: UsageOptions): Promise<Inventory> {
  const [catalog, all] = await Promise.all([images.catalog({ onDamage: 'show' }), sheds.list()])
  return await takeInventory({ layout, images: catalog, sheds: all, isInFlight: images.isInFlight })
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
        }),
      )
    : noEviction
  return planPrune({ inventory, query, layout, removals, drops, eviction })
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
