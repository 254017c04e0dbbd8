import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxImageTools, busyboxLayer } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { compareGuest } from '../support/guest-tree/compare-guest.ts'
import { guestTreeTools } from '../support/guest-tree/guest-snapshot.ts'
import { buildImage, buildLayer, noise, ociArchive } from '../support/image-builder.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'
import type { TarMember } from '../support/tar-builder.ts'

const able = needs({
  tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools, ...guestTreeTools],
})

const big = noise(300_000, 'big')
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
const member = (path: string | Buffer, rest: Partial<TarMember> = {}): TarMember => ({
  mtime: 1_600_000_000,
  path,
  ...rest,
})
const directory = (path: string, rest: Partial<TarMember> = {}) =>
  member(path, { type: 'directory', mode: 0o755, ...rest })
const link = (path: string, linkTarget: string) => member(path, { type: 'hardlink', linkTarget })
const whiteout = (path: string) => member(path, { content: '' })

/** What other people's images do, in the layers between the first and the last. */
const layers: readonly (readonly TarMember[])[] = [
  [
    directory('opt/kept', { mode: 0o2750, uid: 1000, gid: 2_500_000 }),
    member('opt/kept/file', {
      content: big,
      mode: 0o4755,
      xattrs: { 'security.capability': capability, 'user.a': 'b' },
    }),
    member('opt/deleted', { content: 'deleted by the middle layer' }),
    directory('opt/tree'),
    member('opt/tree/a', { content: noise(9000, 'a') }),
    member('opt/tree/sub/b', { content: 'b' }),
    directory('opt/opaque'),
    member('opt/opaque/old', { content: 'old' }),
    member('opt/opaque/again', { content: 'first' }),
    member('opt/linked', { content: noise(20_000, 'linked'), mode: 0o640 }),
    member('opt/to-file/inside', { content: 'a directory that becomes a file' }),
    member('opt/to-directory', { content: 'a file that becomes a directory' }),
    member('opt/odd/ leading blank', { content: '1' }),
    member('opt/odd/-rf', { content: '2' }),
    member('opt/odd/new\nline', { content: '3' }),
    member(Buffer.from('6f70742f6f64642fff5cfe', 'hex'), { content: 'no UTF-8, and a backslash' }),
    member(`opt/odd/${'n'.repeat(255)}`, { content: 'long' }),
    member('opt/odd/zürich 🐄', { content: 'cow' }),
    member('opt/null', { type: 'char', mode: 0o666, major: 1, minor: 3 }),
    member('opt/disk', { type: 'block', mode: 0o660, major: 259, minor: 300 }),
    member('opt/pipe', { type: 'fifo', mode: 0o600 }),
    member('opt/whiteout-like', { type: 'char', mode: 0, major: 0, minor: 0 }),
    member('opt/before-1970', { content: 'x', mtime: { seconds: -2, nanoseconds: 500_000_000 } }),
    member('opt/nanoseconds', { content: 'x', mtime: { seconds: 1_600_000_000, nanoseconds: 123_456_789 } }),
    member('opt/empty'),
    member('opt/sparse', {
      sparse: { form: '1.0', realSize: 1 << 20, segments: [{ offset: 65_536, bytes: big.subarray(0, 5000) }] },
    }),
    directory('opt/sticky', { mode: 0o1777 }),
  ],
  [
    whiteout('opt/.wh.deleted'),
    whiteout('opt/.wh.tree'),
    whiteout('opt/opaque/.wh..wh..opq'),
    member('opt/opaque/again', { content: 'second' }),
    link('opt/kept/second-name', 'opt/linked'),
    member('opt/to-file', { content: 'now a file' }),
    directory('opt/to-directory'),
    member('opt/to-directory/inside', { content: 'now a directory' }),
    member('opt/symlink', { type: 'symlink', mode: 0o777, linkTarget: '../../../opt/kept' }),
  ],
  [
    whiteout('opt/.wh.linked'),
    directory('opt/tree', { mode: 0o700 }),
    member('opt/tree/only', { content: 'made again, and only this' }),
    member('opt/deleted', { content: 'and back again' }),
    link('opt/third-name', 'opt/kept/second-name'),
    member('opt/symlink/through', { content: 'through a symlink of the image' }),
  ],
]

/** Seed 001 section 10: what a layer's tar says, held against what the booted guest has. */
describe.runIf(able)('a guest', () => {
  let cowshed: Cowshed
  let scratch: string
  const run = (...words: string[]) => cowshed.ok(...words)

  beforeAll(async () => {
    cowshed = await openCowshed()
    scratch = await mkdtemp(join(tmpdir(), 'cowshed-guest-tree-'))
    const image = buildImage({ layers: [busyboxLayer(), ...layers.map((members) => buildLayer(members))] })
    await writeFile(join(scratch, 'foreign.tar'), ociArchive([{ image, ref: 'foreign:1' }]))
    await cowshed.ok('image', 'load', join(scratch, 'foreign.tar'))
    await cowshed.ok('create', 'foreign', '--image', 'foreign:1')
  }, 600_000)
  afterAll(async () => {
    await cowshed[Symbol.asyncDispose]()
    await rm(scratch, { recursive: true, force: true })
  })

  test('of a foreign image of many layers has exactly what the layers say', async () => {
    expect(await compareGuest(run, 'foreign')).toEqual([])
  }, 300_000)

  test('that was changed is told apart, in every way', async () => {
    const script = `cd /opt; echo more >> kept/file; chmod 600 empty; chown 7 pipe; rm -r tree; touch new; touch -d @1 sparse;
      rm third-name; ln -sfn elsewhere symlink; mv disk disk2`
    await cowshed.ok('exec', 'foreign', '--', 'sh', '-c', script)
    const found = await compareGuest(run, 'foreign')
    const expected = [
      /^\/opt\/disk: is in the image, not in the guest \(block\)$/,
      /^\/opt\/disk2: is in the guest, not in the image \(block\)$/,
      /^\/opt\/empty: mode is 600, not 644$/,
      /^\/opt\/kept\/file: sha256 is /,
      /^\/opt\/kept\/file: size is 300005, not 300000$/,
      /^\/opt\/new: is in the guest, not in the image \(file\)$/,
      /^\/opt\/pipe: owner is 7:0, not 0:0$/,
      /^\/opt\/sparse: mtime is 1000000000, not 1600000000000000000$/,
      /^\/opt\/symlink: target is elsewhere, not /,
      /^\/opt\/third-name: is in the image, not in the guest \(file\)$/,
      /^\/opt\/tree\/only: is in the image, not in the guest \(file\)$/,
    ]
    for (const line of expected)
      expect(
        found.some((one) => line.test(one)),
        `${line} in\n${found.join('\n')}`,
      ).toBe(true)
  }, 300_000)
})
