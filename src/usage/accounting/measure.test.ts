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
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { history, live } from '../../../test/support/disk-history.ts'
import { toolsFor } from '../../../test/support/filesystems.ts'
import { type FilesystemType, type Mounted, mountFresh } from '../../../test/support/mount-filesystem.ts'
import { needs } from '../../../test/support/needs.ts'
import { noise } from '../../../test/support/noise.ts'
import { reflink } from '../../../test/support/reflink.ts'
import { xfsDataBytes } from '../../../test/support/xfs-data-bytes.ts'
import { measureSpace, releaseReservations, runTool, settleFilesystem, usedByFiles } from '../../host/index.ts'
import { type ExtentCache, extentCache } from './extent-cache.ts'
import { holds, type Measured, measure } from './measure.ts'
import type { MeasuredFile, Measurement, MeasureRequest } from './measured-file.ts'
import { type Bytes, exactly } from './space.ts'

const MiB = 2 ** 20

interface Ground {
  readonly name: string
  readonly type: FilesystemType
  readonly options?: readonly string[]
  readonly mkfs?: readonly string[]
  /** Whether a file outside is seen to share what two of ours share. */
  readonly seesAll: boolean
  /** Bytes that a prediction may be off: the filesystem's own lists of extents, where they are counted with the rest. */
  readonly slack: (bytes: number) => number
}

const none = () => 0
const metadata = (bytes: number) => Math.max(0.01 * bytes, 512 * 1024)
const grounds: readonly Ground[] = [
  { name: 'btrfs', type: 'btrfs', seesAll: true, slack: none },
  { name: 'btrfs, compressed', type: 'btrfs', options: ['compress=zstd:1'], seesAll: true, slack: none },
  { name: 'xfs', type: 'xfs', mkfs: ['-m', 'rmapbt=0'], seesAll: false, slack: metadata },
  // Where it says whose each block is, what is the filesystem's own can be told apart: data it is to the byte.
  { name: 'xfs with a reverse map', type: 'xfs', mkfs: ['-m', 'rmapbt=1'], seesAll: true, slack: none },
  { name: 'ext4', type: 'ext4', seesAll: true, slack: metadata },
]

for (const { name, type, options, mkfs, seesAll, slack } of grounds) {
  describe.runIf(needs({ root: true, tools: toolsFor(type) }))(name, () => {
    let mounted: Mounted
    beforeAll(async () => {
      mounted = await mountFresh(type, 500 * MiB, options, mkfs)
    })
    afterAll(() => mounted[Symbol.asyncDispose]())
    const ours = () => join(mounted.directory, 'ours')
    const outside = () => join(mounted.directory, 'outside')
    const used = () => (slack === none && type === 'xfs' ? usedByData : usedByFiles)(mounted.directory)
    /** Without what is held ready, and when nothing goes on in the background any more: two looks see the same. */
    const usedAtRest = () => {
      for (let last = -1; ; pause(20)) {
        releaseReservations(mounted.directory)
        const now = used()
        if (now === last) return now
        last = now
      }
    }
    beforeEach(() => {
      for (const directory of [ours(), outside()]) {
        rmSync(directory, { recursive: true, force: true })
        mkdirSync(directory)
      }
    })

    test('whatever files went through: what goes frees what was said, and all that is used is somebody’s', {
      timeout: 240_000,
    }, () => {
      fc.assert(
        fc.property(history, history, fc.nat(63), (first, then, chosen) => {
          for (const directory of [ours(), outside()]) empty(directory)
          const atFirst = usedAtRest()
          const cache = extentCache()
          const look = { reflinks: type !== 'ext4', measure: () => void measure(request(filesIn(ours())), cache) }
          live(ours(), first, look)
          // What was known here and lives on outside shares with all that was cloned from it.
          if (seesAll) leaveOutside(ours(), outside(), { reflinks: type !== 'ext4' })
          live(ours(), then, look)
          leaveOutside(ours(), outside(), { reflinks: false })

          const before = usedAtRest()
          const all = figures(request(filesIn(ours(), outside())), extentCache())
          expectNear(all.union, before - atFirst, slack(before - atFirst))

          const known = filesIn(ours())
          const going = known.filter((_, at) => (chosen & (1 << at)) !== 0)
          const plan = figures(request(known, going), cache)
          expect([plan.accuracy, plan.reservedBytes]).toEqual(['exact', 0])
          for (const { names } of going) for (const path of names) rmSync(path)
          const predicted = plan.ownerships[0]?.marginal[0]
          const enough = (predicted?.atLeast ?? 0) - slack(before)
          const freed = freedSince(before, used, enough)
          expectNear(predicted, freed, slack(freed))
        }),
        { numRuns: 12 },
      )
    })

    whereIt(type !== 'ext4')('what somebody outside shares is not freed; once they let go of it, it is', () => {
      const cache = extentCache()
      writeFileSync(join(ours(), 'mine'), noise(3 * MiB, 1))
      reflink(join(ours(), 'mine'), join(outside(), 'theirs'))
      const exclusive = () => figures(request(filesIn(ours())), cache).files[0]
      expect(exclusive()).toEqual(exactly(0))
      settleFilesystem(mounted.directory)
      expect(exclusive()).toEqual(exactly(0))
      rmSync(join(outside(), 'theirs'))
      settleFilesystem(mounted.directory)
      expect(exclusive()).toEqual(exactly(3 * MiB))
    })

    whereIt(type !== 'ext4' && seesAll)(
      'what was measured holds until somebody outside takes or lets go, though nothing of ours has changed',
      async () => {
        const cache = extentCache()
        writeFileSync(join(ours(), 'mine'), noise(3 * MiB, 1))
        reflink(join(ours(), 'mine'), join(ours(), 'twin'))
        settleFilesystem(mounted.directory)
        // So that it is old enough to be remembered.
        await new Promise((resolve) => setTimeout(resolve, 300))
        const known = filesIn(ours())
        const asked = request(known, known)
        const isSo = (then: Measured) => {
          settleFilesystem(mounted.directory)
          return holds(asked, then, cache)
        }
        const alone = measure(asked, cache)
        expect(isSo(alone)).toBe(true)
        reflink(join(ours(), 'mine'), join(outside(), 'theirs'))
        expect(isSo(alone)).toBe(false)
        const shared = measure(asked, cache)
        expect(shared.measurement.ownerships[0]?.marginal[0]).toEqual(exactly(0))
        rmSync(join(outside(), 'theirs'))
        expect(isSo(shared)).toBe(false)
        expect(measure(asked, cache).measurement.ownerships).toEqual(alone.measurement.ownerships)
      },
    )

    whereIt(type !== 'ext4')('what two of ours share is not freed with them where somebody outside has it too', () => {
      writeFileSync(join(ours(), 'one'), noise(3 * MiB, 1))
      reflink(join(ours(), 'one'), join(ours(), 'two'))
      reflink(join(ours(), 'one'), join(outside(), 'theirs'))
      // A part of it they have overwritten: on btrfs the extent stays whole all the same.
      const fd = openSync(join(outside(), 'theirs'), 'r+')
      writeSync(fd, noise(MiB, 2), 0, MiB, MiB)
      closeSync(fd)
      settleFilesystem(mounted.directory)
      const both = filesIn(ours())
      const { ownerships, overlooks } = figures(request(both, both), extentCache())
      expect(overlooks).toBe(!seesAll)
      const before = used()
      empty(ours())
      const freed = freedSince(before, used, type === 'xfs' ? MiB : 0)
      expect(freed).toBeGreaterThanOrEqual(type === 'xfs' ? MiB : 0)
      if (seesAll) expect(ownerships[0]?.marginal[0]).toEqual(exactly(type === 'xfs' ? MiB : 0))
    })

    whereIt(type !== 'ext4')(
      'one of two that share is deleted: the other has it alone, though its own times are as they were',
      async () => {
        const cache = extentCache()
        writeFileSync(join(ours(), 'a'), noise(2 * MiB, 2))
        reflink(join(ours(), 'a'), join(ours(), 'b'))
        // So that it is old enough to be remembered.
        await new Promise((resolve) => setTimeout(resolve, 300))
        expect(figures(request(filesIn(ours())), cache).files).toEqual([exactly(0), exactly(0)])
        rmSync(join(ours(), 'b'))
        expect(figures(request(filesIn(ours())), cache).files).toEqual([exactly(2 * MiB)])
      },
    )

    whereIt(type === 'xfs')(
      'what was held ready past the end of a file and has been given back is not counted, though its times are as they were',
      async () => {
        const cache = extentCache()
        // xfs keeps what it holds ready when a file has been closed with something unwritten before.
        for (let at = 0; at < 3; at++) append(join(ours(), 'grows'), noise(MiB, at))
        // So that it is old enough to be remembered.
        await new Promise((resolve) => setTimeout(resolve, 300))
        const before = figures(request(filesIn(ours())), cache)
        expect(before.files[0]?.atLeast).toBeGreaterThan(3 * MiB)
        releaseReservations(mounted.directory)
        expect(figures(request(filesIn(ours())), cache).files).toEqual([exactly(3 * MiB)])
      },
    )

    whereIt(type === 'xfs')('inodes that go 64 at once are the filesystem’s own, and not in what was freed', () => {
      for (let at = 0; at < 400; at++) writeFileSync(join(ours(), `${at}`), noise(4096, at))
      const all = filesIn(ours())
      const { ownerships } = figures(request(all, all), extentCache())
      const [before, space] = [usedByFiles(mounted.directory), measureSpace(mounted.directory)]
      empty(ours())
      const freed = freedSince(before, () => usedByFiles(mounted.directory), 400 * 4096)
      expectNear(ownerships[0]?.marginal[0], freed, 4 * 4096)
      const inodes = (space.inodeBytes ?? 0) - (measureSpace(mounted.directory).inodeBytes ?? 0)
      expect(inodes).toBeGreaterThanOrEqual(5 * 64 * 512)
    })

    whereIt(type === 'xfs')('what is held ready for writes to shared blocks is seen, and given back', async () => {
      writeFileSync(join(ours(), 'base'), noise(32 * MiB, 3))
      reflink(join(ours(), 'base'), join(ours(), 'clone'))
      const fd = openSync(join(ours(), 'clone'), 'r+')
      for (let at = 0; at < 200; at++) writeSync(fd, noise(4096, at), 0, 4096, ((at * 37) % 8192) * 4096)
      fsyncSync(fd)
      const cache = extentCache()
      const before = figures(request(filesIn(ours())), cache)
      expect(before.reservedBytes).toBeGreaterThan(5 * MiB)
      const used = usedByFiles(mounted.directory)
      releaseReservations(mounted.directory)
      expectNear(
        exactly(before.reservedBytes),
        used - usedByFiles(mounted.directory),
        0.01 * before.reservedBytes + 65_536,
      )
      expect(figures(request(filesIn(ours())), cache)).toEqual({
        ...before,
        reservedBytes: 0,
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
        expect(figures(request(filesIn(subvolume)), extentCache()).files).toEqual([exactly(0), exactly(MiB)])
        reflink(join(subvolume, 'old'), join(subvolume, 'older'))
        const all = filesIn(subvolume)
        const plan = figures(request(all, all), extentCache())
        const used = usedByFiles(mounted.directory)
        for (const file of readdirSync(subvolume)) rmSync(join(subvolume, file))
        const freed = used - usedByFiles(mounted.directory)
        expect(freed).toBe(MiB)
        expect(plan.ownerships[0]?.marginal[0]?.atLeast).toBeLessThanOrEqual(freed)
        expect(plan.ownerships[0]?.marginal[0]?.atMost).toBeGreaterThanOrEqual(freed)
        for (const name of ['snapshot', 'subvolume'])
          await runTool('btrfs', ['subvolume', 'delete', join(mounted.directory, name)])
      },
    )
  })
}

/** Some of the files get another name outside, and others are shared with one there. */
function leaveOutside(ours: string, outside: string, { reflinks }: { reflinks: boolean }): void {
  for (const [at, file] of readdirSync(ours).entries()) {
    const there = join(outside, file)
    if (reflinks && at % 3 === 1) reflink(join(ours, file), `${there}-clone`)
    if (at % 4 !== 3) continue
    rmSync(`${there}-link`, { force: true })
    linkSync(join(ours, file), `${there}-link`)
  }
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

function figures(asked: MeasureRequest, cache: ExtentCache): Measurement {
  return measure(asked, cache).measurement
}

/** Asks what `going` frees, the rest staying. */
function request(files: readonly NamedFile[], going: readonly NamedFile[] = []): MeasureRequest {
  return {
    files,
    fresh: false,
    ownerships: [{ owners: 1, ofFile: files.map((file) => (going.includes(file) ? [0] : [])) }],
  }
}

/** The same where an xfs can tell its own apart. */
function usedByData(directory: string): number {
  settleFilesystem(directory)
  return xfsDataBytes(directory)
}

/**
 * What the filesystem has got back. A file that was still being written when it was deleted goes when btrfs's cleaner has let go of it, some
 * time after the sync: so what is less than enough is looked at again.
 */
function freedSince(before: number, used: () => number, enough: number): number {
  const deadline = Date.now() + 5_000
  for (;;) {
    const freed = before - used()
    if (freed >= enough || Date.now() > deadline) return freed
    pause(50)
  }
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

function append(path: string, bytes: Buffer): void {
  const fd = openSync(path, 'a')
  writeSync(fd, bytes)
  closeSync(fd)
}

function empty(directory: string): void {
  for (const file of readdirSync(directory)) rmSync(join(directory, file))
}

function expectNear(bytes: Bytes | undefined, actual: number, slack: number): void {
  expect(bytes?.atMost).toBe(bytes?.atLeast)
  if (slack === 0) expect(bytes?.atLeast).toBe(actual)
  else expect(Math.abs((bytes?.atLeast ?? 0) - actual)).toBeLessThanOrEqual(slack)
}
