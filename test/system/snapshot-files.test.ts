import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DataLayout } from '../../src/base/index.ts'
import type { ImportSnapshotReply, SnapshotDetail } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, launcher, openCowshed } from '../support/cowshed.ts'
import { withSmallFilesystem } from '../support/filesystems.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { storeAsZstd } from '../support/store-as-zstd.ts'
import { buildTar } from '../support/tar-builder.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const mib = 2 ** 20

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a snapshot in a file', () => {
  let directory: TemporaryDirectory
  let here: OpenedRooms
  const files: Record<'byReference' | 'withImage' | 'whole', Buffer> = {
    byReference: Buffer.alloc(0),
    withImage: Buffer.alloc(0),
    whole: Buffer.alloc(0),
  }
  beforeAll(async () => {
    directory = await temporaryDirectory()
    here = await openRoomsOn(join(directory.path, 'here'))
    await here.loadMini()
    await here.sheds.volumes.create({ name: 'data', bytes: 64 * mib })
    await here.create('web', { volumes: [{ volume: 'data', path: '/data', read_only: false }], env: { A: 'b' } })
    await here.create('own', { rootfs: 'ext4', upper_bytes: 192 * mib })
    await scribble(here.layout.shed('web').upper, 40 * mib)
    await scribble(here.layout.volume('data').data, 9 * mib)
    await here.sheds.snapshots.create({ shed: 'web', name: 'base', comment: 'kept', volumes: true })
    await here.sheds.snapshots.create({ shed: 'own', name: 'whole', volumes: true })
    files.byReference = await exported('base')
    files.withImage = await exported('base', true)
    files.whole = await exported('whole')
  })
  afterAll(async () => {
    await here[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  test('is the same snapshot on another host, sparse as it was, and says what it lacks there', async () => {
    await using there = await another()
    const { snapshots } = there.sheds
    expect(await snapshots.importFrom({ source: inPieces(files.byReference) })).toEqual({
      name: 'base',
      outcome: 'imported',
    })
    const [original, copy] = [await here.sheds.snapshots.get('base'), await snapshots.get('base')]
    const { manifest_digest } = original.image
    const hint = `cowshed image pull mini:1@${manifest_digest}`
    expect(copy).toEqual({
      ...original,
      physical_bytes: expect.any(Number),
      imported_at: expect.any(String),
      lower: 'missing',
      lower_hint: hint,
    })
    await expectSameDisks(there.layout, 'base')
    await expect(there.create('web', from('base'))).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      hint: expect.stringContaining(hint),
    })
    expect(await snapshots.importFrom({ source: inPieces(files.byReference) })).toEqual({
      name: 'base',
      outcome: 'unchanged',
    })
    // It keeps nothing that is not here, and nobody from removing what is.
    await there.images.load({ source: { stream: inPieces(busyboxArchive('other:1', [{ path: 'x', content: 'x' }])) } })
    await there.images.remove('other:1', { force: false })
    await there.loadMini()
    expect(await snapshots.get('base')).toMatchObject({ lower: 'to be made' })
    await there.create('web', from('base'))
    await expect(there.images.remove('mini:1', { force: false })).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    expect((await readFile(there.layout.shed('web').upper)).equals(await readFile(here.layout.shed('web').upper))).toBe(
      true,
    )
  })

  test('brings its image when that was asked for, and takes no name from another', async () => {
    await using there = await another()
    const { sheds, images } = there
    await there.images.load({ source: { stream: inPieces(busyboxArchive('mini:1', [{ path: 'x', content: 'x' }])) } })
    const [mini] = await images.list()
    await sheds.snapshots.importFrom({ source: inPieces(files.withImage), name: 'mine' })
    const { image } = await sheds.snapshots.get('mine')
    const all = await images.list()
    expect(all.map(({ digest, tags }) => ({ digest, tags }))).toEqual(
      expect.arrayContaining([
        { digest: mini?.digest, tags: ['mini:1'] },
        { digest: image.manifest_digest, tags: [] },
      ]),
    )
    await there.create('web', from('mine'))
    await images.remove('mini:1', { force: false })
    await using free = await another()
    await free.sheds.snapshots.importFrom({ source: inPieces(files.withImage) })
    expect((await free.images.list()).map(({ tags }) => tags)).toEqual([['mini:1']])
  })

  test('needs no image when its disk is whole', async () => {
    await using there = await another()
    const { sheds, images } = there
    await sheds.snapshots.importFrom({ source: inPieces(files.whole) })
    await there.create('own', { ...from('whole'), rootfs: undefined })
    await expectSameDisks(there.layout, 'whole')
    await images.load({ source: { stream: inPieces(busyboxArchive('other:1', [{ path: 'x', content: 'x' }])) } })
    await images.remove('other:1', { force: false })
  })

  test('has one name and one place', async () => {
    await using there = await another()
    const { snapshots } = there.sheds
    await snapshots.importFrom({ source: inPieces(files.whole), name: 'base' })
    const exists = { code: 'SNAPSHOT_ALREADY_EXISTS' }
    await expect(snapshots.importFrom({ source: inPieces(files.byReference) })).rejects.toMatchObject(exists)
    await expect(snapshots.importFrom({ source: inPieces(files.whole), name: 'else' })).rejects.toMatchObject(exists)
    expect(await snapshots.importFrom({ source: inPieces(files.whole) })).toEqual({
      name: 'base',
      outcome: 'unchanged',
    })
    await expect(snapshots.importFrom({ source: inPieces(files.whole), name: '../x' })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    })
    expect((await snapshots.list()).map(({ name }) => name)).toEqual(['base'])
  })

  test('leaves nothing when it was cut short or damaged', async () => {
    await using there = await another()
    const { withImage } = files
    const length = withImage.length
    const places = [
      0,
      5,
      300,
      1500,
      ...Array.from({ length: 12 }, (_, i) => Math.floor((length * (i + 0.5)) / 12)),
      length - 1,
    ]
    for (const at of places) {
      const flipped = Buffer.from(withImage)
      flipped.writeUInt8(withImage.readUInt8(at) ^ 0x55, at)
      for (const damaged of [withImage.subarray(0, at), flipped]) {
        const outcome = await there.sheds.snapshots
          .importFrom({ source: inPieces(damaged) })
          .catch((error: unknown) => error)
        expect(outcome, `at ${at} of ${length}`).toMatchObject({ code: expect.any(String) })
        await expectNothing(there)
      }
    }
    expect(await there.sheds.snapshots.importFrom({ source: inPieces(withImage) })).toMatchObject({
      outcome: 'imported',
    })
  })

  test.each([
    ['another form', { format: 'something' }],
    ['a record that is none', { record: { name: 'base' } }],
    ['a name that leads elsewhere', { change: { name: '../../x' } }],
    ['a digest that leads elsewhere', { change: { image: { ref: 'x', manifest_digest: 'sha256:../../x' } } }],
    ['more than a shed can have', { change: { cpus: 5000 } }],
    [
      'volumes that lead elsewhere',
      { change: { volumes: [{ volume: '../../x', path: '/x', read_only: false, bytes: 4096 }] } },
    ],
    [
      'a part that nobody needs',
      {
        parts: [
          { name: 'upper.ext4', bytes: 64 * mib },
          { name: 'more', bytes: 1 },
        ],
      },
    ],
  ])('with %s is refused', async (_, { change, ...header }: { change?: object; [key: string]: unknown }) => {
    await using there = await another()
    const record = JSON.parse(await readFile(here.layout.snapshot('base').record, 'utf8')) as object
    const parts = [
      { name: 'upper.ext4', bytes: 64 * mib },
      { name: 'volumes/data.ext4', bytes: 64 * mib },
    ]
    const whole = {
      format: 'cowshed-snapshot',
      version: 1,
      record: { ...record, ...change },
      parts,
      image: false,
      ...header,
    }
    const source = inPieces(storeAsZstd(buildTar([{ path: 'snapshot.json', content: JSON.stringify(whole) }])))
    await expect(there.sheds.snapshots.importFrom({ source })).rejects.toMatchObject({ code: 'SNAPSHOT_FILE_INVALID' })
    await expectNothing(there)
  })

  test.runIf(needs({ root: true, tools: ['mkfs.ext4', 'mount', 'umount'] }))(
    'leaves nothing on a full disk',
    async () => {
      await withSmallFilesystem('ext4', 64 * mib, async (small, fs) => {
        await using there = await openRoomsOn(small)
        await fs.fill({ leave: '4MiB' })
        for (const file of [files.byReference, files.withImage]) {
          await expect(there.sheds.snapshots.importFrom({ source: inPieces(file) })).rejects.toMatchObject({
            code: 'NO_SPACE',
          })
          await expectNothing(there)
        }
      })
    },
  )

  async function exported(name: string, withImage = false): Promise<Buffer> {
    const pieces: Buffer[] = []
    for await (const piece of await here.sheds.snapshots.exportTo(name, { withImage })) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  let others = 0
  function another(): Promise<OpenedRooms> {
    return openRoomsOn(join(directory.path, `there-${others++}`))
  }

  async function expectSameDisks(layout: DataLayout, name: string): Promise<void> {
    const disks = (there: DataLayout) =>
      name === 'whole'
        ? [there.snapshot(name).rootfs]
        : [there.snapshot(name).upper, there.snapshotVolume(name, 'data')]
    const originals = disks(here.layout)
    for (const [i, path] of disks(layout).entries()) {
      const original = originals[i] ?? ''
      expect((await readFile(path)).equals(await readFile(original)), path).toBe(true)
      const [before, after] = [await stat(original), await stat(path)]
      expect(after.mode & 0o777).toBe(0o400)
      expect(after.blocks).toBeLessThanOrEqual(before.blocks * 1.05 + 64)
    }
  }
})

describe.runIf(needs({ tools: ['mke2fs', ...busyboxImageTools] }))('a snapshot that goes from host to host', () => {
  let from: Cowshed
  let to: Cowshed
  beforeAll(async () => {
    from = await openCowshed({ kernel: false })
    to = await openCowshed({ kernel: false })
    const archive = `${from.layout.root}.tar`
    await writeFile(archive, busyboxArchive())
    await from.ok('image', 'load', archive)
    await rm(archive)
    await from.ok('create', 'web', '--image', 'mini:1', '--upper-size', '64MiB', '--no-start')
    await scribble(from.layout.shed('web').upper, 30 * mib)
    await from.ok('snapshot', 'create', 'web', 'base')
  })
  afterAll(async () => {
    await from[Symbol.asyncDispose]()
    await to[Symbol.asyncDispose]()
  })

  test('goes through a pipe', async () => {
    const { stdout, code } = await piped('--with-image', '--name mine --json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'imported', snapshot: { name: 'mine', lower: 'to be made' } })
    await to.ok('create', 'web', '--from-snapshot', 'mine', '--no-start')
    const disk = await readFile(to.layout.shed('web').upper)
    expect(disk.equals(await readFile(from.layout.shed('web').upper))).toBe(true)
    // The answer comes before all was sent.
    expect(await piped('', '')).toMatchObject({ code: 0, stdout: 'mine unchanged\n' })
    expect(await piped('', '--name other')).toMatchObject({ code: 4 })
    await to.ok('delete', 'web', '--force')
    await to.ok('snapshot', 'rm', 'mine', '--force')
  })

  test('goes as a file, which is not written over', async () => {
    const path = join(from.layout.root, '..', 'base.snapshot')
    expect(await from.ok('snapshot', 'export', 'base', path)).toContain(path)
    expect(await from.run('snapshot', 'export', 'base', path)).toMatchObject({ code: 4 })
    expect(await from.run('snapshot', 'export', 'none', `${path}2`)).toMatchObject({ code: 3 })
    expect((await readdir(join(path, '..'))).filter((name) => name.includes('snapshot'))).toEqual(['base.snapshot'])
    expect(await to.ok('snapshot', 'import', path)).toBe('base imported\n')
    expect(await to.json<SnapshotDetail>('snapshot', 'info', 'base')).toMatchObject({ status: 'whole' })
    await to.ok('snapshot', 'rm', 'base', '--force')
    await writeFile(path, (await readFile(path)).subarray(0, 100_000))
    const cut = await to.run('snapshot', 'import', path)
    expect(cut).toMatchObject({ code: 1, stderr: expect.stringContaining('cut short') })
    expect(await to.run('snapshot', 'import', join(path, '..'))).toMatchObject({ code: 2 })
  })

  test('is whole or not there when the daemon is killed while it comes', async () => {
    const { stdout } = await from.run('snapshot', 'export', 'base', '-')
    const file = Buffer.from(stdout, 'latin1')
    const client = to.start('snapshot', 'import', '-')
    const closed = once(client, 'close')
    client.stdin?.on('error', () => undefined)
    client.stdin?.write(file.subarray(0, file.length - 10))
    while (!(await staged(to))) await new Promise((resolve) => setTimeout(resolve, 20))
    await to.killDaemon()
    client.stdin?.end()
    await closed
    expect(await to.ok('snapshot', 'ls', '-q')).toBe('')
    expect(await to.staging()).toEqual([])
    const again = await to.runWith({ input: file }, 'snapshot', 'import', '-', '--json')
    expect((JSON.parse(again.stdout) as ImportSnapshotReply).outcome).toBe('imported')
  })

  async function staged({ layout }: Cowshed): Promise<boolean> {
    const names = await readdir(layout.staging).catch(() => [])
    const [first] = names.filter((name) => name.startsWith('import-'))
    return first !== undefined && (await readdir(join(layout.staging, first))).includes('upper.ext4')
  }

  /** `cowshed snapshot export base - | cowshed snapshot import -` */
  async function piped(exporting: string, importing: string): Promise<{ code: number; stdout: string }> {
    const cowshed = ({ layout }: Cowshed) => `${process.execPath} ${launcher} --data ${layout.root}`
    const line = `${cowshed(from)} snapshot export base - ${exporting} | ${cowshed(to)} snapshot import - ${importing}`
    const shell = spawn('sh', ['-c', line], { stdio: ['ignore', 'pipe', 'ignore'] })
    const [output, [code]] = await Promise.all([text(shell.stdout), once(shell, 'close')])
    return { code: code as number, stdout: output }
  }
})

/** Something that does not compress, where no filesystem has anything yet. */
async function scribble(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(randomBytes(3 * mib), 0, 3 * mib, at)
}

function from(snapshot: string) {
  return { image: undefined, upper_bytes: undefined, from_snapshot: snapshot }
}

async function expectNothing({ layout, images, sheds }: OpenedRooms): Promise<void> {
  expect(await readdir(layout.staging)).toEqual([])
  expect(await sheds.snapshots.list()).toEqual([])
  expect(await images.list()).toEqual([])
  expect(await readdir(join(layout.blobs, 'sha256')).catch(() => [])).toEqual([])
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000)
}
