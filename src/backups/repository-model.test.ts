import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backUp } from './back-up.ts'
import { hooked, localTarget, makeHost, restoreTo, writeChunks } from './backups.testkit.ts'
import type { BackupTarget } from './index.ts'
import { pruneBackups, removeBackup } from './prune-backups.ts'
import { listBackups } from './repository/backups.ts'
import { openRepository } from './repository/open-repository.ts'
import { verifyBackups } from './verify-backups.ts'

type Step =
  | { readonly do: 'back up'; readonly source: 'one' | 'two'; readonly chunks: readonly (number | undefined)[] }
  | { readonly do: 'remove'; readonly which: number }
  | { readonly do: 'prune'; readonly keepLast: number }

/** A power cut: after that many writes and removals nothing reaches the repository. */
type Cut = number

const fill = fc.option(fc.nat(5), { nil: undefined })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('back up' as const),
      source: fc.constantFrom('one' as const, 'two' as const),
      chunks: fc.array(fill, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), which: fc.nat(10) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('prune' as const), keepLast: fc.nat(2) }) },
)
const cut: fc.Arbitrary<Cut | undefined> = fc.option(fc.nat(8), { nil: undefined })

test('whatever is done, and wherever it is cut off, the backups that there should be are there, whole, and no others', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(step, cut), { minLength: 1, maxLength: 8 }), async (steps) => {
      await using host = await makeHost()
      const directory = host.path('repository')
      const open = async (target: BackupTarget) =>
        await openRepository({
          target,
          keyRing: host.keyRing,
          create: true,
          // Whoever held a lock was cut off.
          lockTimes: { refreshMs: 60_000, staleMs: -1, waitMs: 0 },
        })
      await open(localTarget(directory))
      /** What backups have, by id: the newest last, for each source. */
      const model = new Map<string, { source: string; content: Buffer }>()
      for (const [at, [what, when]] of steps.entries()) {
        const repository = await open(
          when === undefined ? localTarget(directory) : cutOff(localTarget(directory), when),
        )
        const before = new Map(model)
        const path = host.path(`disk-${at}`)
        if (what.do === 'back up') await writeChunks(path, what.chunks)
        const [removed] = what.do === 'remove' ? [[...model.keys()][what.which % Math.max(1, model.size)]] : []
        const expired = what.do === 'prune' ? expiredIn(model, what.keepLast) : []
        try {
          if (what.do === 'back up') {
            const files = [{ name: 'disk', path }]
            await backUp({ repository, kind: 'volume', name: what.source, record: {}, files })
          }
          if (removed !== undefined) await removeBackup(repository, removed)
          if (what.do === 'prune') await pruneBackups({ repository, keepLast: what.keepLast })
        } catch (error) {
          if (!(error instanceof PowerCut) && !causedByCut(error)) throw error
        }
        const { backups, broken } = await listBackups(await open(localTarget(directory)))
        expect(broken).toEqual([])
        const ids = new Set(backups.map(({ id }) => id))
        const [fresh, ...more] = [...ids].filter((id) => !before.has(id))
        expect(more).toEqual([])
        // Cut off, it may have been done or not; without, it is.
        if (fresh !== undefined && what.do === 'back up')
          model.set(fresh, { source: what.source, content: await readFile(path) })
        else expect(fresh).toBeUndefined()
        if (when === undefined && what.do === 'back up') expect(fresh).toBeDefined()
        for (const id of [...expired, ...(removed === undefined ? [] : [removed])]) {
          if (when === undefined) expect(ids.has(id)).toBe(false)
          if (!ids.has(id)) model.delete(id)
        }
        expect(ids).toEqual(new Set(model.keys()))
      }
      const repository = await open(localTarget(directory))
      expect((await verifyBackups({ repository })).damaged).toEqual([])
      for (const [id, { content }] of model) {
        const restored = await restoreTo(host, repository, id, `restored-${id}`)
        expect((await readFile(join(restored, 'disk'))).equals(content)).toBe(true)
      }
      // Once more undisturbed, nothing is left that no backup needs.
      await pruneBackups({ repository })
      expect((await pruneBackups({ repository, dryRun: true })).freedBytes).toBe(0)
    }),
    { numRuns: 12 },
  )
})

class PowerCut extends Error {}

function causedByCut(error: unknown): boolean {
  return error instanceof Error && (error.cause instanceof PowerCut || error.message.includes('the power is cut'))
}

function cutOff(target: BackupTarget, after: Cut): BackupTarget {
  let changes = 0
  let isCut = false
  return hooked(target, (call) => {
    if (call !== 'get') isCut ||= changes++ === after
    if (isCut) throw new PowerCut('the power is cut')
  })
}

function expiredIn(model: ReadonlyMap<string, { source: string }>, keepLast: number): string[] {
  if (keepLast === 0) return []
  return ['one', 'two'].flatMap((source) => {
    const ids = [...model].filter(([, backup]) => backup.source === source).map(([id]) => id)
    return ids.slice(0, Math.max(0, ids.length - keepLast))
  })
}
