import { expect, test } from 'vitest'
import { digestOf, Problem } from '../../base/index.ts'
import { buildWithRoom } from './build-with-room.ts'
import type { CacheKeeper } from './cache-keeper.ts'

const manifest = digestOf('an image')
const noSpace = new Problem('NO_SPACE', 'no space')

function keeperWith(hasRoom: boolean) {
  const asked: [string, readonly string[], number][] = []
  const keeper: CacheKeeper = {
    grown: async () => {},
    async makeRoom({ why, manifests }, bytes) {
      asked.push([why, manifests, bytes])
      return hasRoom
    },
  }
  return { asked, keeper }
}

function failing(times: number, problem = noSpace) {
  let tries = 0
  const build = async () => {
    if (tries++ < times) throw problem
    return tries
  }
  return { build, manifest, layerBytes: 10 }
}

test('what finds no space is tried once more when something was evicted for it', async () => {
  const { asked, keeper } = keeperWith(true)
  expect(await buildWithRoom({ keeper }, failing(0))).toBe(1)
  expect(asked).toEqual([])
  expect(await buildWithRoom({ keeper }, failing(1))).toBe(2)
  expect(asked).toEqual([['a lower found no space', [manifest], 40]])
  await expect(buildWithRoom({ keeper }, failing(2))).rejects.toBe(noSpace)
})

test('without a budget, with nothing to evict, or for another reason, it fails as it did', async () => {
  const nothing = keeperWith(false)
  await expect(buildWithRoom({ keeper: undefined }, failing(1))).rejects.toBe(noSpace)
  await expect(buildWithRoom({ keeper: nothing.keeper }, failing(1))).rejects.toBe(noSpace)
  const broken = new Problem('IO_FAILED', 'the disk is broken')
  await expect(buildWithRoom({ keeper: nothing.keeper }, failing(1, broken))).rejects.toBe(broken)
  expect(nothing.asked).toHaveLength(1)
})
