import { readdir, readFile, stat } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { type PushedErofs, plainErofsImage } from '../../../test/support/plain-erofs-image.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { parseDigest } from '../../base/index.ts'
import { damageFile } from '../../lazy/damage.testkit.ts'
import { listLazyLowers } from '../../lazy/index.ts'
import type { AttachedLazy } from './attach-lazy.ts'
import { openPublished } from './published-image.testkit.ts'

describe.runIf(needs({ tools: registryTools }))('an image that is one erofs image without a chunk index', () => {
  let published: Awaited<ReturnType<typeof openPublished>>
  let reference = ''
  let plain: PushedErofs

  beforeAll(async () => {
    published = await openPublished()
    plain = plainErofsImage(published.lower)
    await published.pulls.publish(plain, 'plain/app:1')
    reference = published.pulls.ref('plain/app:1')
  })
  afterAll(() => published[Symbol.asyncDispose]())
  beforeEach(() => published.pulls.proxy.clear())

  const attach = (layout = published.newHost()) => published.attach(layout, { reference })
  const fill = ({ lower }: AttachedLazy) => lower.fill({ signal: new AbortController().signal })
  const blobs = { method: 'GET', path: /\/blobs\/sha256:/ }

  async function expectRight({ lower }: AttachedLazy, offset = 0, length = published.lower.length): Promise<void> {
    const bytes = await lower.read(offset, length)
    expect(bytes.equals(published.lower.subarray(offset, offset + length))).toBe(true)
  }

  test('is read in part, with a warning, and once it is whole it is verified and kept', async () => {
    const layout = published.newHost()
    {
      await using attached = await attach(layout)
      expect(attached.notices).toEqual([expect.stringContaining('WARNING')])
      await expectRight(attached, 1_000_000, 5000)
      expect(attached.lower.counters.requestedBytes).toBeLessThan(published.lower.length / 2)
      await fill(attached)
      await attached.whole
      expect([attached.lower.leaves.missing, attached.lower.origin.state]).toEqual([0, 'gives'])
      await expectRight(attached)
    }
    expect(await readFile(layout.lazyLower(plain.blob).data)).toEqual(published.lower)
    expect(await readdir(layout.staging)).toEqual([])
    published.pulls.proxy.fault({ times: 1_000 }, { kind: 'reset', after: 0 })
    await using again = await attach(layout)
    expect(again.notices).toEqual([expect.stringContaining('stood for the last time')])
    await expectRight(again)
    expect(again.lower.counters.requests).toBe(0)
  })

  test('of which some is here is not believed by the next process: it is fetched again', async () => {
    const layout = published.newHost()
    {
      await using attached = await attach(layout)
      await expectRight(attached, 1_000_000, 5000)
      expect(attached.lower.leaves.missing).toBeGreaterThan(1)
    }
    expect(await listLazyLowers(layout)).toMatchObject([{ source: { reference, plain: true } }])
    await expect(stat(layout.lazyLower(plain.blob).data)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readdir(layout.staging)).toEqual([])
    await using again = await attach(layout)
    await expectRight(again, 1_000_000, 5000)
    expect(again.lower.counters.requests).toBeGreaterThan(0)
  })

  test('that is not what its digest says: nothing of it is kept, and every read fails from then on', async () => {
    const layout = published.newHost()
    {
      await using attached = await attach(layout)
      published.pulls.proxy.fault(blobs, { kind: 'corrupt', at: 3000 })
      await expect(fill(attached)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH', hint: expect.anything() })
      await expect(attached.whole).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect(() => attached.lower.read(0, 4096)).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }))
      expect(attached.lower.origin).toMatchObject({ state: 'degraded', problem: { code: 'DIGEST_MISMATCH' } })
      expect([attached.lower.leaves.missing > 0, attached.lower.file?.()]).toEqual([true, undefined])
    }
    await expect(stat(layout.lazyLower(plain.blob).data)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readdir(layout.staging)).toEqual([])
    await using again = await attach(layout)
    await fill(again)
    await expectRight(again)
  })

  test.each(['flip', 'cut', 'long'] as const)(
    'that was kept and is damaged (%s) is seen to be, and comes again',
    async (kind) => {
      const layout = published.newHost()
      {
        await using attached = await attach(layout)
        await fill(attached)
      }
      await damageFile(layout.lazyLower(plain.blob).data, kind, 100_000)
      await using again = await attach(layout)
      expect(again.isUnverified).toBe(true)
      await fill(again)
      await expectRight(again)
    },
  )

  test.each<[string, Parameters<typeof plainErofsImage>[1]]>([
    ['by the type that containerd gives it', { mediaType: 'application/vnd.erofs.layer.v1' }],
    [
      'by its annotation, beside layers of other types',
      { mediaType: 'application/x-rootfs', annotated: true, layers: 1 },
    ],
  ])('is known %s', async (name, options) => {
    const image = plainErofsImage(published.lower, options)
    const at = `plain/${name.length}:1`
    await published.pulls.publish(image, at)
    await using attached = await published.attach(published.newHost(), { reference: published.pulls.ref(at) })
    await expectRight(attached, 4096, 4096)
    expect(attached.chunkIndex).toBe(parseDigest(image.blob))
  })

  test('is none when there are several, which only a pull could put upon each other', async () => {
    await published.pulls.publish(plainErofsImage(published.lower, { layers: 2 }), 'plain/several:1')
    const attached = published.attach(published.newHost(), { reference: published.pulls.ref('plain/several:1') })
    await expect(attached).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED' })
  })
})
