import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { toolsFor } from '../../../test/support/filesystems.ts'
import { type FilesystemType, type Mounted, mountFresh } from '../../../test/support/mount-filesystem.ts'
import { needs } from '../../../test/support/needs.ts'
import { runScript } from '../../../test/support/node-script.ts'
import { noise } from '../../../test/support/noise.ts'
import { reflink } from '../../../test/support/reflink.ts'
import { dedupeFiles, type OnDeduped } from './dedupe-files.ts'
import { contents, jobOn } from './dedupe-job.testkit.ts'

const MiB = 2 ** 20
const block = 4096

interface Ground {
  readonly name: string
  readonly type: FilesystemType
  readonly options?: readonly string[]
  /** Bytes that a prediction may be off: the filesystem's own lists, where they are counted with the rest. */
  readonly slack: (bytes: number) => number
}

const grounds: readonly Ground[] = [
  { name: 'btrfs', type: 'btrfs', slack: () => 0 },
  { name: 'btrfs, compressed', type: 'btrfs', options: ['compress=zstd:1'], slack: () => 0 },
  { name: 'xfs', type: 'xfs', slack: (bytes) => Math.max(0.01 * bytes, 256 * 1024) },
]

for (const { name, type, options, slack } of grounds) {
  describe.runIf(needs({ root: true, tools: toolsFor(type) }))(name, () => {
    let mounted: Mounted
    beforeAll(async () => {
      mounted = await mountFresh(type, 400 * MiB, options)
    })
    afterAll(() => mounted[Symbol.asyncDispose]())
    const root = () => mounted.directory
    const path = (file: string) => join(root(), 'files', file)
    beforeEach(() => {
      for (const part of ['files', 'hashes', 'staging', 'elsewhere']) {
        rmSync(join(root(), part), { recursive: true, force: true })
      }
      mkdirSync(join(root(), 'files'))
      mkdirSync(join(root(), 'elsewhere'))
    })
    const dedupe = (given: Partial<Parameters<typeof jobOn>[1]> = {}, onProgress: OnDeduped = () => {}) =>
      dedupeFiles(jobOn(root(), { dryRun: false, ...given }), onProgress)

    test('whatever files have in common: contents stay, and what was predicted is what is freed', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fileOfPieces, { minLength: 2, maxLength: 5 }), fc.nat(31), async (files, cloned) => {
          rmSync(join(root(), 'files'), { recursive: true })
          mkdirSync(join(root(), 'files'))
          for (const [at, pieces] of files.entries()) {
            writePieces(path(`${at}`), pieces)
            if ((cloned & (1 << at)) !== 0) reflink(path(`${at}`), path(`${at}-clone`))
          }
          const before = contents(root())
          const dry = await dedupe({ dryRun: true })
          const real = await dedupe()
          expect(contents(root())).toEqual(before)
          expect(dry.accuracy).toBe('exact')
          expect(real.predicted).toEqual(dry.predicted)
          const { atLeast } = real.predicted
          expect(Math.abs((real.reclaimedBytes ?? 0) - atLeast)).toBeLessThanOrEqual(slack(atLeast))
          expect(real.done).toMatchObject({ differs: 0, refused: 0 })
          const freed = real.files.reduce((sum, { freedBytes }) => sum + freedBytes, 0)
          expect(freed).toBe(atLeast)
          // Nothing is left to be gained, and nothing has to be read to know that.
          expect((await dedupe({ dryRun: true })).predicted.atLeast).toBe(0)
        }),
        { numRuns: 4, endOnFailure: true },
      )
    })

    // Compression is about lengths of extents, and that was it.
    if (options !== undefined) return

    test('the same packages at other places, behind a block of one’s own: they are found block by block', async () => {
      const packages = [1, 2, 3, 4].map((seed) => noise(seed * 100 * block, seed))
      writeFileSync(path('a'), Buffer.concat(packages))
      writeFileSync(path('b'), Buffer.concat([noise(block, 'own'), ...packages.reverse()]))
      const { predicted, reclaimedBytes = 0 } = await dedupe()
      expect(predicted.atLeast).toBeGreaterThanOrEqual(1000 * block - slack(0))
      expect(Math.abs(reclaimedBytes - 1000 * block)).toBeLessThanOrEqual(slack(1000 * block))
    })

    test('zeros that were written become holes', async () => {
      writeFileSync(path('a'), Buffer.concat([noise(MiB, 1), Buffer.alloc(4 * MiB), noise(MiB, 2)]))
      const before = contents(root())
      const { predicted, reclaimedBytes = 0 } = await dedupe()
      expect(Math.abs(reclaimedBytes - predicted.atLeast)).toBeLessThanOrEqual(slack(predicted.atLeast))
      expect(predicted.atLeast).toBe(4 * MiB)
      expect(contents(root())).toEqual(before)
    })

    test('what somebody else has is not freed, so nothing is done about it', async () => {
      writeFileSync(path('a'), noise(2 * MiB, 1))
      writeFileSync(path('b'), noise(2 * MiB, 1))
      reflink(path('b'), join(root(), 'elsewhere', 'b'))
      expect((await dedupe()).predicted.atLeast).toBe(0)
      rmSync(join(root(), 'elsewhere', 'b'))
      await dedupe({ dryRun: true, roles: { b: 'kept' } })
      expect((await dedupe({ dryRun: true, roles: { b: 'counted' } })).predicted.atLeast).toBe(0)
      // Only what may change does: of two that are the same the later one gives way.
      expect((await dedupe({ dryRun: true, roles: { b: 'kept' } })).predicted.atLeast).toBe(0)
      expect((await dedupe({ dryRun: true, roles: { a: 'kept' } })).predicted.atLeast).toBe(2 * MiB)
    })

    test('a second look reads only what has changed since, also when times were put back', async () => {
      writeFileSync(path('a'), noise(3 * MiB, 1))
      writeFileSync(path('b'), noise(3 * MiB, 2))
      await sleep(150)
      expect(await dedupe()).toMatchObject({ readBytes: 6 * MiB, knownBytes: 0 })
      expect(await dedupe()).toMatchObject({ readBytes: 0, knownBytes: 6 * MiB })
      overwrite(path('b'), MiB, noise(16 * block, 3))
      utimesSync(path('b'), 1, 1)
      await sleep(150)
      const { readBytes } = await dedupe()
      // Where the filesystem tells which parts are new, those alone; else the file.
      expect(readBytes).toBe(type === 'btrfs' ? 16 * block : 3 * MiB)
      expect(await dedupe()).toMatchObject({ readBytes: 0 })
    })

    test('a range that is written to before its turn, and a file that is deleted, are left alone', async () => {
      for (const file of ['a', 'b', 'c', 'd']) writeFileSync(path(file), noise(2 * MiB, 1))
      writeFileSync(path('e'), noise(2 * MiB, 'other'))
      let isDone = false
      const meddle = (phase: string, done: number, total: number) => {
        if (isDone || phase !== 'hash' || done < total) return
        isDone = true
        overwrite(path('b'), MiB, noise(block, 'news'))
        rmSync(path('c'))
        // Its name is another's now.
        rmSync(path('d'))
        reflink(path('e'), path('d'))
      }
      const { done } = await dedupe({}, meddle)
      expect(isDone).toBe(true)
      // Of b no more than what is around the block that is new.
      expect(done).toEqual({ shared: 2 * MiB - 64 * 1024, differs: 4 * MiB + 64 * 1024, refused: 0 })
      expect(readFileSync(path('b')).subarray(MiB, MiB + block)).toEqual(noise(block, 'news'))
      expect(readFileSync(path('b')).subarray(0, MiB)).toEqual(noise(2 * MiB, 1).subarray(0, MiB))
      expect(readFileSync(path('a'))).toEqual(noise(2 * MiB, 1))
      expect(readFileSync(path('d'))).toEqual(noise(2 * MiB, 'other'))
    })

    test('hashes that are damaged, or of another file, cost a look and never content', async () => {
      writeFileSync(path('a'), noise(MiB, 1))
      writeFileSync(path('b'), noise(MiB, 1))
      await sleep(150)
      const [, b] = jobOn(root(), { dryRun: true }).files
      await dedupe({ dryRun: true })
      const hashes = join(root(), 'hashes', `${b?.inode}.hashes`)
      const before = contents(root())
      // Says that b has the content of a in another order.
      const bytes = readFileSync(hashes)
      bytes.copy(bytes, 4096, 4096 + 8)
      writeFileSync(hashes, bytes)
      await dedupe()
      for (const junk of ['', 'x', '{"magic":1}'.padEnd(5000), `${'{'.repeat(4096)}12345678`]) {
        writeFileSync(hashes, junk)
        await dedupe()
      }
      expect(contents(root())).toEqual(before)
    })

    test('kill -9 at every step loses nothing, and the next run gets the rest', async () => {
      const names = ['a', 'b', 'c'] as const
      const originals = new Map(
        names.map((name) => [name, Buffer.concat([noise(5 * block, `own ${name}`), noise(MiB, 1), Buffer.alloc(MiB)])]),
      )
      const fresh = async () => {
        rmSync(join(root(), 'hashes'), { recursive: true, force: true })
        for (const [name, bytes] of originals) writeFileSync(path(name), bytes)
        // Hashes of what was written a moment before are not relied on: times of files tick coarsely.
        await sleep(150)
      }
      const killed = new URL('./killed-dedupe.testkit.ts', import.meta.url)
      await fresh()
      const before = contents(root())
      const steps: { phase: string; left: number }[] = []
      await dedupe({}, (phase, done, total) => steps.push({ phase, left: total - done }))
      expect(new Set(steps.map(({ phase }) => phase))).toEqual(new Set(['hash', 'share']))
      expect(steps.length).toBeGreaterThan(8)
      for (const step of steps.keys()) {
        await fresh()
        expect((await runScript(killed, [root(), `${step}`])).signal).toBe('SIGKILL')
        expect(contents(root())).toEqual(before)
        // What was hashed before it was killed is not read again.
        const last = steps.slice(0, step).findLast(({ phase }) => phase === 'hash')
        const { readBytes, done } = await dedupe()
        expect(readBytes).toBeLessThanOrEqual(last?.left ?? 7 * MiB)
        expect(done).toMatchObject({ differs: 0, refused: 0 })
        expect(contents(root())).toEqual(before)
        expect((await dedupe({ dryRun: true })).predicted.atLeast).toBe(0)
      }
    })
  })
}

/** What files are made of: some of a few contents, from some block of it on; own ones; zeros; nothing. */
interface Piece {
  readonly kind: 'common' | 'text' | 'own' | 'zeros' | 'hole'
  readonly seed: number
  readonly from: number
  readonly blocks: number
}

const fileOfPieces: fc.Arbitrary<Piece[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('common', 'common', 'text', 'text', 'own', 'zeros', 'hole'),
    seed: fc.nat(2),
    from: fc.nat(60),
    blocks: fc.integer({ min: 1, max: 150 }),
  }),
  { minLength: 1, maxLength: 12 },
)

let owned = 0

function writePieces(path: string, pieces: readonly Piece[]): void {
  const fd = openSync(path, 'wx')
  let at = 0
  for (const { kind, seed, from, blocks } of pieces) {
    const bytes = blocks * block
    if (kind !== 'hole') writeSync(fd, pieceBytes(kind, seed, from * block, bytes), 0, bytes, at)
    at += bytes
  }
  ftruncateSync(fd, at)
  closeSync(fd)
}

function pieceBytes(kind: Exclude<Piece['kind'], 'hole'>, seed: number, from: number, bytes: number): Buffer {
  switch (kind) {
    case 'common':
      return noise(from + bytes, seed).subarray(from)
    case 'text':
      return Buffer.from(
        Array.from({ length: (from + bytes) / 64 }, (_, line) => `${seed} ${line}`.padEnd(64)).join(''),
      ).subarray(from)
    case 'own':
      return noise(bytes, `own ${owned++}`)
    case 'zeros':
      return Buffer.alloc(bytes)
  }
}

function overwrite(path: string, at: number, bytes: Buffer): void {
  const fd = openSync(path, 'r+')
  writeSync(fd, bytes, 0, bytes.length, at)
  closeSync(fd)
}
