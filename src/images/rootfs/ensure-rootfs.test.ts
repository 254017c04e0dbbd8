import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open, readdir, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type BuiltLayer, buildLayer } from '../../../test/support/image-builder.ts'
import { killScript, startScript } from '../../../test/support/node-script.ts'
import type { Digest } from '../../base/index.ts'
import { bottomLayer, cachedImage, otherManifest, stagingOf } from '../lowers/cached-image.testkit.ts'
import { ensureLower } from '../lowers/ensure-lower.ts'
import { largeLayer, someManifest } from '../lowers/lowers.testkit.ts'
import { ensureRootfs } from './ensure-rootfs.ts'
import { findRootfs } from './find-rootfs.ts'

const script = new URL('../lowers/build-lower.testkit.ts', import.meta.url)

async function fixture(layers?: readonly BuiltLayer[]) {
  const image = await cachedImage(layers)
  const { layout, stored, heard } = image
  return {
    ...image,
    ensure: (options: { manifest?: Digest; signal?: AbortSignal } = {}) =>
      ensureRootfs({
        ...{ layout, manifest: someManifest, layers: stored },
        onProgress: (progress) => heard.push(progress),
        ...options,
      }),
  }
}

describe('a root filesystem', () => {
  test('is built once, whole and read-only, and then is present', async () => {
    await using images = await fixture()
    const { layout, heard } = images
    expect(findRootfs(layout, someManifest)).toBeUndefined()

    const [built, ...others] = await Promise.all([images.ensure(), images.ensure(), images.ensure()])

    expect(built).toMatchObject({ path: layout.rootfsImage(someManifest), outcome: 'built', warnings: [] })
    for (const other of others) expect(other).toEqual(built)
    const { size, mode, blocks } = await stat(layout.rootfsImage(someManifest))
    expect({ size, mode }).toEqual({ size: built?.bytes, mode: 0o100444 })
    expect(blocks * 512).toBeLessThan(1 << 20)
    expect(await stagingOf(layout)).toEqual([])
    expect(heard.at(-1)).toMatchObject({ phase: 'rootfs', done: heard.at(-1)?.total })
    expect(await images.ensure()).toMatchObject({ outcome: 'present', bytes: built?.bytes })
  })

  test('needs no layer unpacked that a lower has needed', async () => {
    await using images = await fixture()
    await ensureLower({ layout: images.layout, manifest: someManifest, layers: images.stored })
    await images.ensure()
    expect(images.unpacked()).toEqual([])
  })

  test('is the same as it was when this test was written', async () => {
    await using images = await fixture()
    const { path } = await images.ensure()
    // Whoever changes the bytes on purpose raises ext4WriterVersion, and then writes the new digest here.
    expect(await hashOf(path)).toBe('353d9c9c55e585c80c79e5f50f360fbbc7dee1b1358e646a5f3e932aef12a44c')
  })

  test('that is damaged, or another one, is built again', async () => {
    await using images = await fixture()
    const { path } = await images.ensure()
    const good = await hashOf(path)
    const { path: other } = await images.ensure({ manifest: otherManifest })
    const damages = [
      () => overwrite(path, 1100),
      () => truncate(path, 0),
      async () => truncate(path, (await stat(path)).size - 4096),
      () => rename(other, path),
    ]
    for (const damage of damages) {
      await damage()
      expect(findRootfs(images.layout, someManifest)).toBeUndefined()
      expect(await images.ensure()).toMatchObject({ outcome: 'built' })
      expect(await hashOf(path)).toBe(good)
    }
  })

  test('is built although a cached layer is damaged', async () => {
    await using images = await fixture()
    const { path } = await images.ensure()
    const good = await hashOf(path)
    await rm(images.layout.layerData(bottomLayer.diffId as Digest))
    await rm(path)
    await images.ensure()
    expect(await hashOf(path)).toBe(good)
  })
})

describe('what cannot be built leaves nothing behind', () => {
  test('because ext4 has no room for it, and the problem says where and what else to do', async () => {
    await using images = await fixture([
      bottomLayer,
      buildLayer([{ path: 'etc/labelled', xattrs: { 'user.large': 'x'.repeat(5000) } }]),
    ])
    await expect(images.ensure()).rejects.toMatchObject({
      code: 'EXT4_INVALID',
      message: expect.stringContaining('/etc/labelled'),
      hint: expect.stringContaining('--rootfs erofs'),
    })
    expect(await stagingOf(images.layout)).toEqual([])
  })

  test('because it was cancelled', async () => {
    await using images = await fixture([largeLayer()])
    const controller = new AbortController()
    const attempt = images.ensure({ signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    await expect(attempt).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await stagingOf(images.layout)).toEqual([])
    expect(findRootfs(images.layout, someManifest)).toBeUndefined()
    expect(await images.ensure()).toMatchObject({ outcome: 'built' })
  })

  test.each(['unpack', 'rootfs 0'])('because its process was killed at "%s"; the next one makes it', async (line) => {
    await using images = await fixture([largeLayer(), bottomLayer])
    const json = join(images.dir.path, 'layers.json')
    await writeFile(json, JSON.stringify(images.stored))
    const child = await startScript(script, [images.layout.root, json, '1', '22', 'rootfs'])
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.split('\n').some((printed) => printed.startsWith(line))) void killScript(child)
    })
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    expect(child.signalCode).toBe('SIGKILL')
    expect(text).not.toContain('done ')
    expect(findRootfs(images.layout, someManifest)).toBeUndefined()
    expect(await readdir(images.layout.rootfsImages).catch(() => [])).toEqual([])
    expect(await images.ensure()).toMatchObject({ outcome: 'built' })
  })
})

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 4 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function overwrite(path: string, at: number): Promise<void> {
  await using file = await open(path, 'r+')
  await file.write(Buffer.from('x'), 0, 1, at)
}
