import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../base/index.ts'
import { exactly } from '../accounting/space.ts'
import { blockFigures } from './block-figures.testkit.ts'
import type { CachedEntry } from './cached-entry.ts'
import { type EvictionFigures, type PlanEviction, planEviction } from './plan-eviction.ts'

const hour = 3600e3
const now = 1000 * hour

describe('without a budget', () => {
  test('all goes that may; the rest stays with its reason', async () => {
    const entries = [entry('old', 10, 5), entry('open', 9, 7, 'used by running shed web'), entry('new', 1, 3)]
    const plan = await planOf(entries)
    expect(plan.steps.map((step) => [step.entry.name, step.marginal.atLeast])).toEqual([
      ['old', 5],
      ['new', 3],
    ])
    expect(reasons(plan)).toEqual([['open', 'used by running shed web']])
    expect([plan.used, plan.shortBytes]).toEqual([exactly(15), 0])
  })

  test('only what has not been used for long enough goes, when that is asked for', async () => {
    const plan = await planOf([entry('old', 10, 5), entry('new', 1, 3)], { unusedForMs: 2 * hour })
    expect(plan.steps.map((step) => step.entry.name)).toEqual(['old'])
    expect(reasons(plan)).toEqual([['new', 'used too recently (1h < 2h)']])
  })

  test('nothing goes of what the request itself needs', async () => {
    const plan = await planOf([entry('mine', 10, 5)], { sparing: new Set([digestOf('mine')]) })
    expect([plan.steps, reasons(plan)]).toEqual([[], [['mine', 'in use at this moment']]])
  })
})

describe('with a budget', () => {
  const three = [entry('a', 30, 5), entry('b', 20, 7), entry('c', 10, 9)]

  test.each([
    ['which is kept already', { maxUsedBytes: 21 }, 0, [], 0],
    ['the longest unused go, no more of them than it takes', { maxUsedBytes: 16 }, 0, ['a'], 0],
    ['by one byte more', { maxUsedBytes: 15 }, 0, ['a', 'b'], 0],
    ['of nothing, all goes', { maxUsedBytes: 0 }, 0, ['a', 'b', 'c'], 0],
    ['of free space', { keepFreeBytes: 106 }, 100, ['a', 'b'], 0],
    ['of both, the harder one counts', { maxUsedBytes: 20, keepFreeBytes: 120 }, 100, ['a', 'b', 'c'], 0],
    ['that cannot be kept, all goes, and what it lacks is said', { keepFreeBytes: 1000 }, 100, ['a', 'b', 'c'], 879],
  ])('%s', async (_, budget, freeBytes, names, short) => {
    const plan = await planOf(three, { budget, freeBytes })
    expect(plan.steps.map((step) => step.entry.name)).toEqual(names)
    expect(plan.shortBytes).toBe(short)
    expect(plan.kept.map(({ reason }) => reason)).toEqual(
      three.slice(names.length).map(() => 'the budget is kept without it'),
    )
  })

  test('what is partly here goes in its turn', async () => {
    const { digest: chunkIndex, unit: _, images: __, ...rest } = entry('half', 25, 8)
    const half = { ...rest, kind: 'lazy' as const, chunkIndex }
    const [a, b, c] = three as [CachedEntry, CachedEntry, CachedEntry]
    const entries = [a, half, b, { ...half, name: 'read', keptBy: 'shed web reads it' }, c]
    const figures: PlanEviction['figures'] = async (going) => blockFigures(entries, going)
    const plan = await planEviction({ entries, budget: { maxUsedBytes: 20 }, freeBytes: 0, now, figures })
    expect(plan.steps.map((step) => [step.entry.kind, step.entry.name])).toEqual([
      ['lower', 'a'],
      ['lazy', 'half'],
    ])
    expect(plan.kept.map(({ entry: { name }, reason }) => [name, reason])).toEqual([
      ['b', 'the budget is kept without it'],
      ['read', 'shed web reads it'],
      ['c', 'the budget is kept without it'],
    ])
  })

  test('what frees nothing is left, unless it goes with what shares its bytes', async () => {
    // Two layers, older than the lowers that share their bytes; the lowers add one byte of their own each.
    const shared = [
      entry('layer 1', 50, 100),
      entry('layer 2', 40, 200),
      entry('lower 1', 20, 1),
      entry('lower 2', 10, 1),
    ]
    const rows = [
      [['layer 1', 'lower 1'], 100],
      [['layer 2', 'lower 2'], 200],
      [['lower 1'], 1],
      [['lower 2'], 1],
    ] as const
    const some = await planOf(shared, { budget: { maxUsedBytes: 250 }, figures: sharing(rows) })
    expect(some.steps.map((step) => [step.entry.name, step.marginal.atLeast])).toEqual([
      ['layer 1', 0],
      ['lower 1', 101],
    ])
    expect(reasons(some)).toEqual([
      ['layer 2', 'it would free next to nothing: what stays shares what it has'],
      ['lower 2', 'the budget is kept without it'],
    ])
    const open = shared.map((one) => (one.name === 'lower 2' ? { ...one, keptBy: 'used by running shed web' } : one))
    const all = await planOf(open, { figures: sharing(rows) })
    expect(all.steps.map((step) => step.entry.name)).toEqual(['layer 1', 'lower 1'])
  })

  test('whatever there is: oldest first, no step too many, and the sum is what all of them free', async () => {
    const sizes = fc.array(fc.record({ bytes: fc.nat(50), open: fc.boolean() }), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(300), async (given, maxUsedBytes) => {
        const entries = given.map(({ bytes, open }, at) => entry(`${at}`, 100 - at, bytes, open ? 'open' : undefined))
        const { steps, used, shortBytes } = await planOf(entries, { budget: { maxUsedBytes } })
        const wanted = Math.max(0, used.atMost - maxUsedBytes)
        const freed = steps.reduce((sum, step) => sum + step.marginal.atLeast, 0)
        expect(shortBytes).toBe(Math.max(0, wanted - freed))
        expect(steps.every((step) => step.entry.keptBy === undefined && step.marginal.atLeast > 0)).toBe(true)
        const may = entries.filter((one) => one.keptBy === undefined && one.files[0]?.size.physical_bytes !== 0)
        expect(steps.map((step) => step.entry)).toEqual(may.slice(0, steps.length))
        if (steps.length < may.length) expect(freed).toBeGreaterThanOrEqual(wanted)
        const last = steps.at(-1)
        if (last !== undefined) expect(freed - last.marginal.atLeast).toBeLessThan(wanted)
      }),
    )
  })
})

function entry(name: string, hoursAgo: number, bytes: number, keptBy?: string): CachedEntry {
  return {
    kind: 'lower',
    digest: digestOf(name),
    unit: 'lower',
    name,
    manifests: [digestOf(name)],
    images: [name],
    keptBy,
    lastUsedAt: now - hoursAgo * hour,
    files: [
      {
        path: `/${name}`,
        inode: name,
        links: 1,
        modifiedAt: now - hoursAgo * hour,
        changedAt: now,
        size: { logical_bytes: bytes, physical_bytes: bytes },
      },
    ],
  }
}

function planOf(entries: readonly CachedEntry[], given: Partial<PlanEviction> = {}) {
  return planEviction({ entries, freeBytes: 0, now, figures: async (going) => blockFigures(entries, going), ...given })
}

function reasons({ kept }: Awaited<ReturnType<typeof planOf>>) {
  return kept.map(({ entry: { name }, reason }) => [name, reason])
}

/** Figures of entries that share: in each row those of some names have so many bytes in common. */
function sharing(rows: readonly (readonly [names: readonly string[], bytes: number])[]): PlanEviction['figures'] {
  return async (going): Promise<EvictionFigures> => {
    const places = rows.map(([names]) => names.map((name) => going.findIndex((one) => one.name === name)))
    /** Where the last of its owners is; -1 when one of them stays. */
    const last = places.map((found) => (found.includes(-1) ? -1 : Math.max(...found)))
    return {
      used: exactly(rows.reduce((sum, [, bytes]) => sum + bytes, 0)),
      marginal: going.map((_, at) =>
        exactly(rows.reduce((sum, [, bytes], row) => sum + (last[row] === at ? bytes : 0), 0)),
      ),
      useless: async (count) => {
        const freed = places.filter((_, row) => last[row] !== -1 && (last[row] ?? 0) < count)
        return new Set([...going.keys()].filter((at) => at < count && !freed.some((found) => found.includes(at))))
      },
    }
  }
}
