import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ImageDetail, Shed } from '../../src/contract/index.ts'
import { busyboxArchive, busyboxImageTools } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { buildLayer } from '../support/image-builder.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ tools: ['qemu-system-x86_64', 'mke2fs', ...busyboxImageTools, ...kernelTools] })

/** With that of busybox as many layers with data as a lower in parts may have. */
const numbers = Array.from({ length: 11 }, (_, i) => i)
const content = (number: number) => `layer ${number} says the same again and again\n`.repeat(3000)
const above = numbers.map((number) => buildLayer([{ path: `srv/of-${number}`, content: content(number) }]))
const one = buildLayer([{ path: 'srv/of-11', content: content(11) }])

describe.runIf(able)('a shed whose lower is in parts', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    await writeFile(cowshed.layout.config, '[images]\nlower_profile = "lz4-64k"\nlower_form = "parts"\n')
    await load('parts:1', above)
  }, 600_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose]())

  async function load(ref: string, layers: typeof above): Promise<void> {
    const archive = join(cowshed.layout.root, '../image.tar')
    await writeFile(archive, busyboxArchive(ref, [], layers))
    await cowshed.ok('image', 'load', archive)
  }

  const commandLine = async () => {
    const { pid } = await cowshed.json<Shed>('inspect', 'p')
    return (await readFile(`/proc/${pid}/cmdline`, 'latin1')).split('\0')
  }
  const drivesOfLower = async () =>
    (await commandLine()).filter((word) => /^virtio-blk.*serial=lower/.test(word)).length
  const expectContents = async () => {
    const found = await cowshed.ok('exec', 'p', '--', 'sh', '-c', 'cd /srv && ls of-* | sort -t- -nk2 | xargs cat')
    expect(found === numbers.map(content).join('')).toBe(true)
  }
  const lowers = async () => (await readdir(cowshed.layout.lowers('lz4-64k'))).map((name) => name.replace(/^[^.]*/, ''))

  test('boots from a drive for each layer with data, and nothing is on disk twice', async () => {
    await cowshed.ok('create', 'p', '--image', 'parts:1')
    await expectContents()
    expect(await cowshed.ok('exec', 'p', '--', 'cat', '/srv/kept')).toBe('kept\n')
    expect(await drivesOfLower()).toBe(1 + 12)
    expect(await lowers()).toEqual(['.bootstrap'])
    expect(await cowshed.json<ImageDetail>('image', 'inspect', 'parts:1')).toMatchObject({
      lower_profile: 'lz4-64k',
      lower_form: 'parts',
    })
  }, 300_000)

  test('is adopted by the next daemon, and nothing that it has open is evicted', async () => {
    await cowshed.killDaemon()
    await cowshed.ok('image', 'prune', '--cache-only', '--force', '--until', '0s')
    expect(await lowers()).toEqual(['.bootstrap'])
    await expectContents()
  }, 300_000)

  test('starts again after its lower was evicted', async () => {
    await cowshed.ok('exec', 'p', '--', 'sh', '-c', 'echo mine > /srv/mine; sync')
    await cowshed.ok('stop', 'p')
    await cowshed.ok('image', 'prune', '--cache-only', '--force', '--until', '0s')
    expect(await lowers()).toEqual([])
    await cowshed.ok('start', 'p')
    await expectContents()
    expect(await cowshed.ok('exec', 'p', '--', 'cat', '/srv/mine')).toBe('mine\n')
    await cowshed.ok('delete', '--force', 'p')
  }, 300_000)

  test('has a lower that is whole when its image has more layers than drives', async () => {
    await load('many:1', [...above, one])
    await cowshed.ok('create', 'p', '--image', 'many:1')
    expect(await drivesOfLower()).toBe(1)
    expect((await lowers()).sort()).toEqual(['.bootstrap', '.erofs'])
    await cowshed.ok('delete', '--force', 'p')
  }, 300_000)
})
