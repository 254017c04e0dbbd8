import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type TemporaryDirectory, temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { leafBytes } from '../formats/index.ts'
import { expectWithin, type MeasureReads, measureReads } from './measure-reads.testkit.ts'
import { largeLower, type PublishedLower } from './published.testkit.ts'

let published: PublishedLower
let directory: TemporaryDirectory

beforeAll(async () => {
  published = await largeLower()
  directory = await temporaryDirectory()
})
afterAll(() => directory[Symbol.asyncDispose]())

const bytesOf = (leaf: number) => ({ offset: leaf * leafBytes + 1000, length: 4096 })
/** What is read, one read after the other, as programs do. */
const workloads = {
  /** A program that starts: here and there, none beside the one before it. */
  scattered: [212, 66, 331, 148, 371, 17, 257, 39, 462, 115, 444, 69, 213, 18, 67, 332, 34, 480].map(bytesOf),
  /** A library: 6 MiB, in pieces. */
  straight: Array.from({ length: 96 }, (_, at) => ({ offset: 300 * leafBytes + at * 65_536, length: 65_536 })),
  /** The end of it first, as an archive is read. */
  backwards: Array.from({ length: 40 }, (_, at) => bytesOf(200 - at)),
}

describe.each([
  ['scattered', { requests: 14, kib: 12_033 }, { requests: 14, kib: 7680 }],
  ['straight', { requests: 5, kib: 8448 }, { requests: 2, kib: 7424 }],
  ['backwards', { requests: 12, kib: 3328 }, { requests: 2, kib: 3072 }],
] as const)('what is read %s', (name, plain, traced) => {
  const measure = async (ahead: MeasureReads['ahead']) =>
    await measureReads({ published, path: join(directory.path, `${name} ${ahead}`), reads: workloads[name], ahead })

  test('takes so many requests and bytes, of a lower of 32 MiB', async () => {
    expectWithin(await measure('nothing'), plain)
  })

  test('takes so many by a trace, and no read waits', async () => {
    const { misses, ...cost } = await measure('traced')
    expectWithin(cost, traced)
    expect(misses).toBe(0)
  })
})
