import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { toolsFor, withSmallFilesystem } from '../support/filesystems.ts'
import { buildImage, buildLayer, noise, ociArchive } from '../support/image-builder.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

describe.runIf(able)('bad input is refused, says why, and leaves nothing', () => {
  let cowshed: Cowshed
  const scratch = (name: string) => join(cowshed.layout.root, '..', name)

  beforeAll(async () => {
    cowshed = await openCowshed()
    await cowshed.ok('ls')
  })
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  const good = busyboxArchive()
  const corrupted = Buffer.from(good)
  corrupted.fill(0x55, good.length / 2, good.length / 2 + 64)
  const app = (pieces: Parameters<typeof buildLayer>[0]) => {
    return ociArchive([{ image: buildImage({ layers: [buildLayer(pieces)] }), ref: 'bad:1' }])
  }

  test.each<[what: string, bytes: Buffer, code: number, says: RegExp]>([
    ['an empty file', Buffer.alloc(0), 1, /error: .+/],
    ['text', Buffer.from('this is no archive\n'.repeat(500)), 1, /error: .+/],
    ['an archive that is cut off', good.subarray(0, good.length / 2), 1, /error: .+/],
    ['an archive with a flipped byte', corrupted, 1, /error: .*(digest|sha256|[Bb]lob|gzip|layer)/],
    ['a gzip that is cut off', gzipSync(good).subarray(0, 5000), 1, /error: .*(cut|trunc|end)/i],
    ['a layer with ..', app([{ path: '../evil', content: 'x' }]), 1, /\.\.\/evil/],
    ['a hard link to nothing', app([{ path: 'a', type: 'hardlink', linkTarget: 'nowhere' }]), 1, /nowhere/],
  ])('%s', async (what, bytes, code, says) => {
    const path = scratch(`${what.replaceAll(/\W+/g, '-')}.tar`)
    await writeFile(path, bytes)
    const before = await inStore()
    const loaded = await cowshed.run('image', 'load', path)
    // Some layers are understood only when a lower is made of them.
    const refused = loaded.code === 0 ? await cowshed.run('create', 'x', '--image', 'bad:1') : loaded
    expect([refused.code, refused.stderr]).toEqual([code, expect.stringMatching(says)])
    expect(refused.stderr).not.toMatch(/\n\s+at /)
    if (loaded.code === 0) await cowshed.ok('image', 'rm', 'bad:1')
    expect(await inStore()).toEqual(before)
    expect(await cowshed.staging()).toEqual([])
    expect(await cowshed.json('ls')).toEqual({ sheds: [] })
  })

  test('names that are none, images that are not there, ports that are taken', async () => {
    const cases: [args: string[], code: number, says: RegExp][] = [
      [['create', '../up', '--image', 'mini:1'], 2, /hint: .*a-z/],
      [['create', 'x', '--image', 'absent:1', '--pull', 'never'], 3, /absent:1/],
      [['create', 'x'], 2, /--image/],
      [['create', 'x', '--image', 'mini:1', '--memory', 'lots'], 2, /512MiB/],
      [['start', 'absent'], 3, /no shed absent/],
      [['no-such-command'], 2, /no-such-command/],
      [['image', 'load', scratch('no such file')], 3, /no such file/],
      [['system', 'prune', '--until', '-1h'], 2, /duration/],
    ]
    for (const [args, code, says] of cases) {
      const result = await cowshed.run(...args)
      expect([args.join(' '), result.code, result.stderr]).toEqual([args.join(' '), code, expect.stringMatching(says)])
    }
  })

  test('without a kernel a create says what to type', async () => {
    await using bare = await openCowshed({ kernel: false })
    await writeFile(scratch('mini.tar'), good)
    await bare.ok('image', 'load', scratch('mini.tar'))
    const { code, stderr } = await bare.run('create', 'x', '--image', 'mini:1')
    expect([code, stderr]).toEqual([3, expect.stringContaining('cowshed setup')])
    expect(await bare.json('ls')).toEqual({ sheds: [] })
  })

  test('a data directory has one daemon: the second one says whose it is, and the first goes on', async () => {
    const pid = await cowshed.daemonPid()
    const second = await cowshed.run('serve')
    expect([second.code, second.stdout + second.stderr]).toEqual([4, expect.stringContaining(String(pid))])
    expect(await cowshed.daemonPid()).toBe(pid)
    await cowshed.ok('ls')
  })

  test('many commands at once start one daemon', async () => {
    await cowshed.killDaemon()
    const results = await Promise.all(Array.from({ length: 6 }, () => cowshed.run('ls', '-q')))
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0])
    const pid = await cowshed.daemonPid()
    expect(await readFile(cowshed.layout.lock, 'utf8')).toBe(`${pid}\n`)
  })

  /** Every file of the store and what is derived from it. */
  async function inStore(): Promise<string[]> {
    const { blobs, cache, imageIndex } = cowshed.layout
    const names = await Promise.all(
      [blobs, cache].map((path) => readdir(path, { recursive: true, withFileTypes: true }).catch(() => [])),
    )
    const files = names.flat().filter((entry) => entry.isFile())
    return [...files.map((entry) => join(entry.parentPath, entry.name)).sort(), await readFile(imageIndex, 'utf8')]
  }
})

const ableToMount = needs({
  root: true,
  tools: ['qemu-system-x86_64', ...busyboxImageTools, ...kernelTools, ...toolsFor('ext4')],
})

describe.runIf(ableToMount)('a full disk', () => {
  test('during a load and a create is told with exit code 5, leaves nothing, and is mended by a prune', async () => {
    await withSmallFilesystem('ext4', 96 * 2 ** 20, async (dir, fs) => {
      await using cowshed = await openCowshed({ data: join(dir, 'd') })
      const image = buildImage({ layers: [buildLayer([{ path: 'big', content: noise(24 * 2 ** 20) }])] })
      const outside = await openCowshed({ kernel: false })
      try {
        const [mini, big] = ['mini.tar', 'big.tar'].map((name) => join(outside.layout.root, '..', name)) as [
          string,
          string,
        ]
        await writeFile(mini, busyboxArchive())
        await writeFile(big, ociArchive([{ image, ref: 'big:1' }]))
        await cowshed.ok('image', 'load', mini)
        await fs.fill({ leave: '20MiB' })

        const load = await cowshed.run('image', 'load', big)
        expect([load.code, load.stderr]).toEqual([5, expect.stringMatching(/no space left[\s\S]*hint: .*system df/)])
        expect(await cowshed.staging()).toEqual([])
        expect(await cowshed.ok('image', 'ls', '-q')).toBe('mini:1\n')

        await fs.fill({ leave: '64KiB' })
        const create = await cowshed.run('create', 'x', '--image', 'mini:1')
        expect([create.code, create.stderr]).toEqual([5, expect.stringMatching(/no space left/i)])
        expect(await cowshed.staging()).toEqual([])
        expect(await cowshed.json('ls')).toEqual({ sheds: [] })
        expect(await cowshed.vmms()).toEqual([])

        expect((await cowshed.run('system', 'prune', '--force', '--json')).code).toBe(0)
        expect(await cowshed.ok('image', 'ls', '-q')).toBe('')
      } finally {
        await outside[Symbol.asyncDispose]()
      }
    })
  })
})
