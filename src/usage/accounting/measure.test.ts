import {
  closeSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { history, live } from '../../../test/support/disk-history.ts'
import { toolsFor } from '../../../test/support/filesystems.ts'
import { type FilesystemType, type Mounted, mountFresh } from '../../../test/support/mount-filesystem.ts'
import { needs } from '../../../test/support/needs.ts'
import { noise } from '../../../test/support/noise.ts'
import { reflink } from '../../../test/support/reflink.ts'
import { measureSpace, releaseReservations, runTool, settleFilesystem } from '../../host/index.ts'
import { extentCache } from './extent-cache.ts'
import { measure } from './measure.ts'
import type { MeasuredFile, MeasureRequest } from './measured-file.ts'
import { type Bytes, exactly } from './space.ts'

const MiB = 2 ** 20

interface Ground {
  readonly name: string
  readonly type: FilesystemType
  readonly options?: readonly string[]
  /** Bytes that a prediction may be off: the filesystem's own lists of extents, where they are counted with the rest. */
  readonly slack: (bytes: number) => number
}

const metadata = (bytes: number) => Math.max(0.01 * bytes, 512 * 1024)
const grounds: readonly Ground[] = [
  { name: 'btrfs', type: 'btrfs', slack: () => 0 },
  { name: 'btrfs, compressed', type: 'btrfs', options: ['compress=zstd:1'], slack: () => 0 },
  { name: 'xfs', type: 'xfs', slack: metadata },
  { name: 'ext4', type: 'ext4', slack: metadata },
]

for (const { name, type, options, slack } of grounds) {
  describe.runIf(needs({ root: true, tools: toolsFor(type) }))(name, () => {
    let mounted: Mounted
    beforeAll(async () => {
      mounted = await mountFresh(type, 500 * MiB, options)
    })
    afterAll(() => mounted[Symbol.asyncDispose]())
    const ours = () => join(mounted.directory, 'ours')
    const outside = () => join(mounted.directory, 'outside')
    beforeEach(() => {
      for (const directory of [ours(), outside()]) {
        rmSync(directory, { recursive: true, force: true })
        mkdirSync(directory)
      }
    })

    // Once in about ten runs on a busy machine xfs had 4 MB more or less than a moment later, and that is not understood: so once more, to be told apart
    // from a wrong figure, which is wrong each time.
    const patience = { timeout: 240_000, retry: type === 'xfs' ? 2 : 0 }
    test(
      'whatever files went through: what goes frees what was said, and all that is used is somebody’s',
      patience,
      () => {
        fc.assert(
          fc.property(history, history, fc.nat(63), (before, after, chosen) => {
            for (const directory of [ours(), outside()]) empty(directory)
            const atFirst = usedBytes(mounted.directory)
            const cache = extentCache()
            const look = { reflinks: type !== 'ext4', measure: () => void measure(request(filesIn(ours())), cache) }
            live(ours(), before, look)
            for (const [at, file] of readdirSync(ours()).entries()) {
              // How many others share a block does xfs not tell, only whether any do.
              if (type === 'btrfs' && at % 3 === 1) reflink(join(ours(), file), join(outside(), file))
              if (at % 4 === 3) linkSync(join(ours(), file), join(outside(), `${file}-link`))
            }
            live(ours(), after, look)
            releaseReservations(mounted.directory)

            const all = measure(request(filesIn(ours(), outside())), extentCache())
            const used = usedBytes(mounted.directory)
            expectNear(all.union, used - atFirst, slack(used - atFirst))

            const known = filesIn(ours())
            const going = known.filter((_, at) => (chosen & (1 << at)) !== 0)
            const plan = measure(request(known, going), cache)
            expect([plan.accuracy, plan.reservedBytes]).toEqual(['exact', 0])
            for (const { names } of going) for (const path of names) rmSync(path)
            const predicted = plan.ownerships[0]?.marginal[0]
            const enough = (predicted?.atLeast ?? 0) - slack(used)
            const freed = freedSince(used, mounted.directory, enough)
            expectNear(predicted, freed, slack(freed))
          }),
          { numRuns: 12 },
        )
      },
    )

    whereIt(type !== 'ext4')('what somebody outside shares is not freed; once they let go of it, it is', () => {
      const cache = extentCache()
      writeFileSync(join(ours(), 'mine'), noise(3 * MiB, 1))
      reflink(join(ours(), 'mine'), join(outside(), 'theirs'))
      const exclusive = () => measure(request(filesIn(ours())), cache).files[0]
      expect(exclusive()).toEqual(exactly(0))
      settleFilesystem(mounted.directory)
      expect(exclusive()).toEqual(exactly(0))
      rmSync(join(outside(), 'theirs'))
      settleFilesystem(mounted.directory)
      expect(exclusive()).toEqual(exactly(3 * MiB))
    })

    whereIt(type !== 'ext4')(
      'one of two that share is deleted: the other has it alone, though its own times are as they were',
      async () => {
        const cache = extentCache()
        writeFileSync(join(ours(), 'a'), noise(2 * MiB, 2))
        reflink(join(ours(), 'a'), join(ours(), 'b'))
        // So that it is old enough to be remembered.
        await new Promise((resolve) => setTimeout(resolve, 300))
        expect(measure(request(filesIn(ours())), cache).files).toEqual([exactly(0), exactly(0)])
        rmSync(join(ours(), 'b'))
        expect(measure(request(filesIn(ours())), cache).files).toEqual([exactly(2 * MiB)])
      },
    )

    whereIt(type === 'xfs')('what is held ready for writes to shared blocks is seen, and given back', async () => {
      writeFileSync(join(ours(), 'base'), noise(32 * MiB, 3))
      reflink(join(ours(), 'base'), join(ours(), 'clone'))
      const fd = openSync(join(ours(), 'clone'), 'r+')
      for (let at = 0; at < 200; at++) writeSync(fd, noise(4096, at), 0, 4096, ((at * 37) % 8192) * 4096)
      fsyncSync(fd)
      const cache = extentCache()
      const before = measure(request(filesIn(ours())), cache)
      expect(before.reservedBytes).toBeGreaterThan(5 * MiB)
      const used = usedBytes(mounted.directory)
      releaseReservations(mounted.directory)
      expectNear(
        exactly(before.reservedBytes),
        used - usedBytes(mounted.directory),
        0.01 * before.reservedBytes + 65_536,
      )
      expect(measure(request(filesIn(ours())), cache)).toEqual({
        ...before,
        reservedBytes: 0,
        space: expect.anything(),
      })
      closeSync(fd)
    })

    whereIt(name === 'btrfs')(
      'a snapshot of the subvolume holds what it has, however many of ours share it',
      async () => {
        const subvolume = join(mounted.directory, 'subvolume')
        await runTool('btrfs', ['subvolume', 'create', subvolume])
        writeFileSync(join(subvolume, 'old'), noise(2 * MiB, 4))
        settleFilesystem(subvolume)
        await runTool('btrfs', ['subvolume', 'snapshot', '-r', subvolume, join(mounted.directory, 'snapshot')])
        writeFileSync(join(subvolume, 'young'), noise(MiB, 5))
        expect(measure(request(filesIn(subvolume)), extentCache()).files).toEqual([exactly(0), exactly(MiB)])
        reflink(join(subvolume, 'old'), join(subvolume, 'older'))
        const all = filesIn(subvolume)
        const plan = measure(request(all, all), extentCache())
        const used = usedBytes(mounted.directory)
        for (const file of readdirSync(subvolume)) rmSync(join(subvolume, file))
        const freed = used - usedBytes(mounted.directory)
        expect(freed).toBe(MiB)
        expect(plan.ownerships[0]?.marginal[0]?.atLeast).toBeLessThanOrEqual(freed)
        expect(plan.ownerships[0]?.marginal[0]?.atMost).toBeGreaterThanOrEqual(freed)
        for (const name of ['snapshot', 'subvolume'])
          await runTool('btrfs', ['subvolume', 'delete', join(mounted.directory, name)])
      },
    )
  })
}

/** What a filesystem does not have is no test that was skipped there. */
function whereIt(applies: boolean): (name: string, body: () => void | Promise<void>) => void {
  return (name, body) => {
    if (applies) test(name, body)
  }
}

interface NamedFile extends MeasuredFile {
  readonly names: string[]
}

/** Each file once, with all the names that it has in these directories. */
function filesIn(...directories: readonly string[]): NamedFile[] {
  const files = new Map<number, NamedFile>()
  for (const directory of directories) {
    for (const name of readdirSync(directory).sort()) {
      const path = join(directory, name)
      const { dev, ino, size, blocks, ctimeMs, nlink } = lstatSync(path)
      const names = [...(files.get(ino)?.names ?? []), path]
      const sizes = { logicalBytes: size, allocatedBytes: blocks * 512 }
      files.set(ino, {
        path,
        names,
        device: dev,
        inode: ino,
        ...sizes,
        changedAt: ctimeMs,
        namedElsewhere: nlink > names.length,
      })
    }
  }
  return [...files.values()]
}

/** Asks what `going` frees, the rest staying. */
function request(files: readonly NamedFile[], going: readonly NamedFile[] = []): MeasureRequest {
  return {
    root: dirname(files[0]?.path ?? '/'),
    files,
    fresh: false,
    ownerships: [{ owners: 1, ofFile: files.map((file) => (going.includes(file) ? [0] : [])) }],
  }
}

/** Bytes of data where the filesystem counts those apart, else all that is used. */
function usedBytes(directory: string): number {
  settleFilesystem(directory)
  const { dataBytes, usedBytes: used } = measureSpace(directory)
  return dataBytes ?? used
}

/**
 * What the filesystem has got back. A file that was still being written when it was deleted goes when btrfs's cleaner has let go of it, some
 * time after the sync: so what is less than enough is looked at again.
 */
function freedSince(before: number, directory: string, enough: number): number {
  const deadline = Date.now() + 5_000
  for (;;) {
    const freed = before - usedBytes(directory)
    if (freed >= enough || Date.now() > deadline) return freed
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50)
  }
}

function empty(directory: string): void {
  for (const file of readdirSync(directory)) rmSync(join(directory, file))
}

function expectNear(bytes: Bytes | undefined, actual: number, slack: number): void {
  expect(bytes?.atMost).toBe(bytes?.atLeast)
  if (slack === 0) expect(bytes?.atLeast).toBe(actual)
  else expect(Math.abs((bytes?.atLeast ?? 0) - actual)).toBeLessThanOrEqual(slack)
}
