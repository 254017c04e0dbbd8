import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mark } from '../../host/index.ts'
import { divideSpace, type FileExtents, type FreeingUnit } from './divide-space.ts'
import { closest, exclusive, freed, held, marginal, sharedWith, union } from './questions.ts'
import { regroup } from './regroup.ts'
import { exactly, type Space } from './space.ts'

/** A disk of so many blocks, of one byte each. */
const blocks = 24
const fileCount = 5

/** A file by the pieces it refers to: [first, length], one of them possibly twice. */
type Pieces = readonly (readonly [start: number, length: number])[]

const pieces = fc.array(fc.tuple(fc.nat(blocks - 1), fc.integer({ min: 1, max: 8 })), { maxLength: 6 })
const disk = fc.record({
  files: fc.array(pieces, { minLength: 1, maxLength: fileCount }),
  /** What somebody outside refers to. */
  outside: pieces,
  going: fc.uniqueArray(fc.nat(fileCount - 1)),
})

describe('blocks, against a model that looks at every one', () => {
  test('what goes frees the blocks that only it refers to', () => {
    fc.assert(
      fc.property(disk, ({ files, going }) => {
        const spaces = divide(
          'block',
          files.map((file) => extents(file)),
        )
        const users = usersOfBlocks(files)
        const gone = new Set(going.filter((file) => file < files.length))
        const count = (test: (users: ReadonlySet<number>) => boolean) => exactly(users.filter(test).length)
        expect(union(spaces)).toEqual(count((all) => all.size > 0))
        expect(freed(spaces, gone)).toEqual(count((all) => all.size > 0 && [...all].every((file) => gone.has(file))))
        for (const file of files.keys()) {
          expect(held(spaces, files.length)[file]).toEqual(count((all) => all.has(file)))
          expect(exclusive(spaces, files.length)[file]).toEqual(count((all) => all.has(file) && all.size === 1))
          const shares = sharedWith(spaces, file)
          for (const other of files.keys()) {
            if (other === file) continue
            expect(shares.get(other) ?? exactly(0)).toEqual(count((all) => all.has(file) && all.has(other)))
          }
        }
      }),
    )
  })

  test('marked as shared with one reference of ours: somebody else has it, and it stays', () => {
    fc.assert(
      fc.property(disk, ({ files, outside }) => {
        // One file, so that every reference is known and each block has one.
        const own = distinctBlocks(files[0] ?? [])
        const theirs = new Set(distinctBlocks(outside))
        const list = own.map((block) => ({ at: block, shared: theirs.has(block) }))
        const spaces = divide('block', [
          {
            namedElsewhere: false,
            extents: {
              starts: Float64Array.from(list, ({ at }) => at),
              lengths: new Float64Array(list.length).fill(1),
              marks: Uint8Array.from(list, ({ shared }) => (shared ? mark.shared : 0)),
            },
          },
        ])
        expect(freed(spaces, new Set([0]))).toEqual(exactly(own.filter((block) => !theirs.has(block)).length))
        expect(union(spaces)).toEqual(exactly(own.length))
      }),
    )
  })
})

/** Extents that are freed as a whole: number n has n + 1 bytes, at n × 100. */
const extentCount = 6
const references = fc.array(fc.nat(extentCount - 1), { maxLength: 8 })

test('whole extents: one is freed with its last reference, wherever that is from', () => {
  fc.assert(
    fc.property(
      fc.record({
        files: fc.array(references, { minLength: 1, maxLength: fileCount }),
        outside: references,
        going: fc.uniqueArray(fc.nat(fileCount - 1)),
      }),
      ({ files, outside, going }) => {
        const spaces = divide('extent', files.map(wholeExtents), countedIn([...files, outside]))
        const gone = new Set(going.filter((file) => file < files.length))
        const survivors = [...files.filter((_, file) => !gone.has(file)), outside].flat()
        const known = new Set(files.flat())
        const dead = [...known].filter((extent) => !survivors.includes(extent))
        expect(freed(spaces, gone)).toEqual(exactly(dead.reduce((sum, extent) => sum + extent + 1, 0)))
        expect(union(spaces)).toEqual(exactly([...known].reduce((sum, extent) => sum + extent + 1, 0)))
      },
    ),
  )
})

test('the marginal bytes of steps add up to what they free together, each what was not freed before it', () => {
  fc.assert(
    fc.property(disk, fc.nat(fileCount), ({ files }, most) => {
      const spaces = divide(
        'block',
        files.map((file) => extents(file)),
      )
      const steps = Math.min(most, files.length)
      const gains = marginal(spaces, steps)
      const upTo = (count: number) => freed(spaces, new Set(Array.from({ length: count }, (_, file) => file))).atLeast
      expect(gains.map(({ atLeast }) => atLeast)).toEqual(gains.map((_, step) => upTo(step + 1) - upTo(step)))
    }),
  )
})

test('things that have files own what their files own; what nobody has stays', () => {
  fc.assert(
    fc.property(
      disk,
      fc.array(fc.uniqueArray(fc.nat(2)), { minLength: fileCount, maxLength: fileCount }),
      fc.uniqueArray(fc.nat(2)),
      ({ files }, things, going) => {
        const spaces = divide(
          'block',
          files.map((file) => extents(file)),
        )
        const gone = new Set(going)
        const goneFiles = files.flatMap((_, file) => {
          const having = things[file] ?? []
          return having.length > 0 && having.every((thing) => gone.has(thing)) ? [file] : []
        })
        expect(
          freed(
            regroup(spaces, (file) => things[file] ?? []),
            gone,
          ),
        ).toEqual(freed(spaces, new Set(goneFiles)))
      },
    ),
  )
})

test('a file with another name somewhere stays, and keeps what it shares', () => {
  const [a, b] = [extents([[0, 10]]), { ...extents([[5, 10]]), namedElsewhere: true }]
  const spaces = divide('block', [a, b])
  expect(freed(spaces, new Set([0, 1]))).toEqual(exactly(5))
  expect(union(spaces)).toEqual(exactly(15))
})

test('what was read before something was deleted is doubted, on either kind of filesystem', () => {
  const shared = extents([[0, 10]], mark.shared)
  expect([...divideSpace({ files: [shared], unit: 'block' }).doubtful]).toEqual([0])
  expect([...divideSpace({ files: [shared, shared], unit: 'block' }).doubtful]).toEqual([])
  const twice = [wholeExtents([2]), wholeExtents([2])]
  const once = countedIn([[2]])
  expect([...divideSpace({ files: twice, unit: 'extent', references: once }).doubtful]).toEqual([0, 1])
})

test('in a snapshot of the subvolume, which no count shows: it stays, or it cannot be known', () => {
  const old = extents([[100, 2]], mark.shared)
  const alone = divide('extent', [old], countedIn([[1]]))
  expect(freed(alone, new Set([0]))).toEqual(exactly(0))
  const both = divide('extent', [old, old], countedIn([[1], [1]]))
  expect(freed(both, new Set([0, 1]))).toEqual({ atLeast: 0, atMost: 2 })
})

test('without privileges there are bounds, and the truth is within them', () => {
  const MiB = 2 ** 20
  const seen = (...starts: number[]) => extents(starts.map((start) => [start * MiB, MiB] as const))
  // One MiB is seen at 10 and one at 12; the extent may have been all of 0 to 12, or 11 to 100.
  const spaces = divide('unseen', [seen(10), seen(12)])
  expect(exclusive(spaces, 2)[0]).toEqual({ atLeast: MiB, atMost: MiB + 128 * MiB + MiB })
  expect(exclusive(spaces, 2)[1]).toEqual({ atLeast: MiB, atMost: MiB + MiB + 128 * MiB })
  const [shared] = exclusive(divide('unseen', [extents([[0, 9]], mark.shared)]), 1)
  expect(shared?.atLeast).toBe(0)
  const encoded = exclusive(divide('unseen', [extents([[0, 128 * 1024]], mark.encoded)]), 1)
  expect(encoded).toEqual([{ atLeast: 4096, atMost: 128 * 1024 }])
})

test('the closest few are those with whom most is shared, the first of them in a crowd', () => {
  const crowd = Array.from({ length: 40 }, () => extents([[0, 5]]))
  const spaces = divide('block', [
    ...crowd,
    extents([[10, 9]]),
    extents([
      [10, 9],
      [0, 1],
    ]),
  ])
  expect(closest(spaces, 42, 2)[41]).toEqual([40, 0])
  expect(closest(spaces, 42, 2)[7]).toEqual([0, 1])
})

function divide(
  unit: FreeingUnit,
  files: readonly FileExtents[],
  counted?: (addresses: Float64Array) => Float64Array,
): Space[] {
  return divideSpace({ files, unit, references: counted }).spaces
}

function extents(list: Pieces, marks = 0): FileExtents {
  return {
    namedElsewhere: false,
    extents: {
      starts: Float64Array.from(list, ([start]) => start),
      lengths: Float64Array.from(list, ([, length]) => length),
      marks: new Uint8Array(list.length).fill(marks),
    },
  }
}

function wholeExtents(list: readonly number[]): FileExtents {
  return extents(list.map((extent) => [extent * 100, extent + 1] as const))
}

function countedIn(files: readonly (readonly number[])[]): (addresses: Float64Array) => Float64Array {
  const all = files.flat()
  return (addresses) => addresses.map((address) => all.filter((extent) => extent * 100 === address).length)
}

function usersOfBlocks(files: readonly Pieces[]): ReadonlySet<number>[] {
  return Array.from({ length: blocks + 8 }, (_, block) => {
    const users = [...files.keys()].filter((file) => distinctBlocks(files[file] ?? []).includes(block))
    return new Set(users)
  })
}

function distinctBlocks(list: Pieces): number[] {
  return [...new Set(list.flatMap(([start, length]) => Array.from({ length }, (_, at) => start + at)))]
}
