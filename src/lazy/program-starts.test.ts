import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { expectWithin, type MeasureReads, measureReads } from './measure-reads.testkit.ts'
import { programStarts } from './program-starts.testkit.ts'
import { type StandInLower, standInLower } from './stand-in-lower.testkit.ts'

const { parts, reads } = programStarts()
let published: StandInLower
let directory: TemporaryDirectory

beforeAll(async () => {
  published = standInLower(parts)
  directory = await temporaryDirectory()
})
afterAll(() => directory[Symbol.asyncDispose]())

/** What each takes of an image of 1.4 GB, as the benchmark `lazy` has it, with its mount. */
describe.each([
  ['true', { requests: 8, kib: 3691 }, { requests: 6, kib: 2451 }],
  ['python', { requests: 62, kib: 20_813 }, { requests: 35, kib: 15_421 }],
  ['node', { requests: 77, kib: 39_407 }, { requests: 23, kib: 27_815 }],
])('a start of %s', (name, plain, traced) => {
  const measure = async (ahead: MeasureReads['ahead']) => {
    const recorded = reads.get(name)
    if (recorded === undefined) throw new Error(`no start of ${name} was recorded`)
    return await measureReads({ published, path: join(directory.path, `${name} ${ahead}`), reads: recorded, ahead })
  }

  test('takes so many requests and bytes', async () => {
    expectWithin(await measure('nothing'), plain)
  })

  test('takes so many by a trace, and no read waits', async () => {
    const { misses, ...cost } = await measure('traced')
    expectWithin(cost, traced)
    expect(misses).toBe(0)
  })
})
