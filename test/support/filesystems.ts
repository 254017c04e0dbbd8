import { randomBytes } from 'node:crypto'
import { open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe } from 'vitest'
import { parseSize } from '../../src/base/index.ts'
import { runTool } from '../../src/host/index.ts'
import { type FilesystemType, type Mounted, mountFresh } from './mount-filesystem.ts'
import { needs } from './needs.ts'

export type { FilesystemType } from './mount-filesystem.ts'

/** A real filesystem on a loop device, empty at the start of each test. Sizes and offsets are texts such as `512MiB`. */
export interface TestFilesystem {
  readonly name: FilesystemType
  readonly reflinks: boolean
  /** Where it is mounted; known once the tests run. */
  readonly directory: string
  path(name: string): string
  /** A file that is a hole but for 1 MiB of random bytes at each of these offsets. */
  sparseFile(options: { size: string; dataAt: readonly string[]; name?: string }): Promise<TestFile>
  /** A file full of random bytes. */
  file(options: { size: string; name?: string }): Promise<TestFile>
  /** Bytes of the blocks that a file has. */
  allocated(name: string): Promise<number>
  exists(name: string): Promise<boolean>
  /** The 4 KiB at an offset. */
  read(name: string, at: string): Promise<Buffer>
  /** Fills the disk until about this much is left. */
  fill(options: { leave: string }): Promise<void>
}

export interface TestFile {
  readonly path: string
  readonly allocated: number
  /** The 4 KiB that were at an offset when the file was made. */
  original(at: string): Buffer
  /** Writes other bytes to the 4 KiB at an offset. */
  overwrite(at: string): Promise<void>
}

/** Registers the same tests for each of these filesystems: mounted once, made empty before each test. Needs root. */
export function onEachFilesystem(types: readonly FilesystemType[], register: (fs: TestFilesystem) => void): void {
  for (const type of types) {
    describe.runIf(needs({ root: true, tools: toolsFor(type) }))(type, () => {
      let mounted: Mounted | undefined
      const directory = () => {
        if (mounted === undefined) throw new Error('the filesystem is there only while tests run')
        return mounted.directory
      }
      beforeAll(async () => {
        mounted = await mountFresh(type, 400 * 1024 * 1024)
      })
      beforeEach(() => makeEmpty(directory()))
      afterAll(() => mounted?.[Symbol.asyncDispose]())
      register(testFilesystem(type, directory))
    })
  }
}

/** Runs something on a fresh filesystem of its own: `sizeBytes` is at least 16 MiB for ext4, 110 MiB for btrfs, 300 MiB for xfs. */
export async function withSmallFilesystem<T>(
  type: FilesystemType,
  sizeBytes: number,
  use: (directory: string, fs: TestFilesystem) => Promise<T>,
): Promise<T> {
  await using mounted = await mountFresh(type, sizeBytes)
  const { directory } = mounted
  return await use(
    directory,
    testFilesystem(type, () => directory),
  )
}

/** The programs that a filesystem needs, for `needs`. */
export function toolsFor(type: FilesystemType): string[] {
  return [`mkfs.${type}`, 'mount', 'umount']
}

async function makeEmpty(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name !== 'lost+found') await rm(join(directory, name), { recursive: true })
  }
}

function testFilesystem(name: FilesystemType, directory: () => string): TestFilesystem {
  const path = (file: string) => join(directory(), file)
  return {
    name,
    reflinks: name !== 'ext4',
    get directory() {
      return directory()
    },
    path,
    sparseFile: ({ size, dataAt, name: file = 'sparse' }) => makeFile(path(file), size, dataAt, '1MiB'),
    file: ({ size, name: file = 'full' }) => makeFile(path(file), size, ['0'], size),
    allocated: async (file) => (await stat(path(file))).blocks * 512,
    exists: async (file) => (await readdir(directory())).includes(file),
    read: (file, at) => readPage(path(file), parseSize(at)),
    fill: ({ leave }) => fillDisk(path('filler'), parseSize(leave)),
  }
}

const page = 4096

async function makeFile(path: string, size: string, dataAt: readonly string[], each: string): Promise<TestFile> {
  const originals = new Map<number, Buffer>()
  {
    await using file = await open(path, 'wx')
    for (const at of dataAt.map(parseSize)) {
      for (let done = 0; done < parseSize(each); done += 1 << 20) {
        const bytes = randomBytes(Math.min(1 << 20, parseSize(each) - done))
        if (done === 0) originals.set(at, bytes.subarray(0, page))
        await file.write(bytes, 0, bytes.length, at + done)
      }
    }
    await file.truncate(parseSize(size))
    await file.sync()
  }
  return {
    path,
    allocated: (await stat(path)).blocks * 512,
    original: (at) => originals.get(parseSize(at)) ?? Buffer.alloc(page),
    overwrite: async (at) => {
      await using file = await open(path, 'r+')
      await file.write(randomBytes(page), 0, page, parseSize(at))
      await file.sync()
    },
  }
}

async function readPage(path: string, at: number): Promise<Buffer> {
  await using file = await open(path, 'r')
  return (await file.read(Buffer.alloc(page), 0, page, at)).buffer
}

/** Makes a file that is so large that about `leave` bytes are left on its filesystem. */
export async function fillDisk(path: string, leave: number): Promise<void> {
  // Most of it at once, without writing it; btrfs says that more is free than one file can have.
  const { bsize, bavail } = await statfs(dirname(path))
  for (let most = bsize * bavail - (16 << 20); most > 0; most -= 32 << 20) {
    if ((await runTool('fallocate', ['-l', `${most}`, path], { okCodes: [0, 1] })).code === 0) break
  }
  await using file = await open(path, 'a')
  // The rest in ever smaller steps: the last free blocks do not take a large write.
  for (const step of [1 << 20, 64 << 10, page]) {
    const bytes = randomBytes(step)
    try {
      for (;;) await file.write(bytes)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error
    }
  }
  await file.sync()
  await file.truncate(Math.max(0, (await file.stat()).size - leave))
  await file.sync()
}
