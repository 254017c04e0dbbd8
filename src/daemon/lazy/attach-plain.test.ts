import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { type PushedErofs, plainErofsImage } from '../../../test/support/plain-erofs-image.ts'
import { registryTools } from '../../../test/support/registry.ts'
import { type DataLayout, parseDigest } from '../../base/index.ts'
import { damageFile } from '../../lazy/damage.testkit.ts'
import { listLazyLowers, readWrong } from '../../lazy/index.ts'
import type { AttachedLazy } from './attached-lazy.ts'
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

  /** Which its directory is called by. */
  const manifest = () => parseDigest(plain.root.digest)
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
    expect(await readFile(layout.lazyLower(manifest()).data)).toEqual(published.lower)
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
    await expect(stat(layout.lazyLower(manifest()).data)).rejects.toMatchObject({ code: 'ENOENT' })
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
    await expect(stat(layout.lazyLower(manifest()).data)).rejects.toMatchObject({ code: 'ENOENT' })
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
      await damageFile(layout.lazyLower(manifest()).data, kind, 100_000)
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
    expect(attached.chunkIndex).toBe(image.root.digest)
  })

  test('is not served while it cannot be written down where it is from', async () => {
    const layout = published.newHost()
    await mkdir(layout.lazyLower(manifest()).record, { recursive: true })
    await expect(attach(layout)).rejects.toMatchObject({ code: 'IO_FAILED' })
  })

  test('is none when there are several, which only a pull could put upon each other', async () => {
    await published.pulls.publish(plainErofsImage(published.lower, { layers: 2 }), 'plain/several:1')
    const attached = published.attach(published.newHost(), { reference: published.pulls.ref('plain/several:1') })
    await expect(attached).rejects.toMatchObject({ code: 'IMAGE_UNSUPPORTED' })
  })

  /** Of its digest is asked by who gives it to guests: what they were given is remembered. */
  describe('that guests read', () => {
    const attachForGuests = (layout: DataLayout) => published.attach(layout, { reference: manifest() })

    /** A host that knows where it is. */
    async function hostOfGuests(): Promise<DataLayout> {
      const layout = published.newHost()
      await using _known = await attach(layout)
      return layout
    }

    test('is noted to be whole once it was verified, by whoever sees that', async () => {
      const layout = await hostOfGuests()
      {
        await using attached = await attachForGuests(layout)
        expect([attached.isUnverified, attached.lower.doubt]).toEqual([true, 'unverified'])
        await expectRight(attached, 1_000_000, 5000)
        await fill(attached)
        await attached.whole
        expect(attached.lower.doubt).toBeUndefined()
      }
      const { whole } = layout.lazyLower(manifest())
      await rm(whole)
      // By a kill it was not noted, perhaps.
      await using again = await attachForGuests(layout)
      await again.whole
      expect([again.isUnverified, (await stat(whole)).size]).toEqual([false, 0])
    })

    test('is given by one process at a time', async () => {
      const layout = await hostOfGuests()
      await using _first = await attachForGuests(layout)
      await expect(attachForGuests(layout)).rejects.toMatchObject({ code: 'IMAGE_IN_USE' })
    })

    test('goes on after its process was killed, when what comes is what came before; once it came wrong it may come right', async () => {
      const layout = await hostOfGuests()
      {
        await using attached = await attachForGuests(layout)
        await expectRight(attached, 1_000_000, 5000)
      }
      await using again = await attachForGuests(layout)
      published.pulls.proxy.fault({ ...blobs, times: 2 }, { kind: 'corrupt', at: 0 })
      await expectRight(again, 1_000_000, 5000)
      await fill(again)
      await again.whole
      expect([again.lower.doubt, again.lower.counters.wrongLeaves]).toEqual([undefined, 2])
    })

    test('is wrong when guests were given something else before, although all that came since is right', async () => {
      const layout = await hostOfGuests()
      {
        await using attached = await attachForGuests(layout)
        published.pulls.proxy.fault(blobs, { kind: 'corrupt', at: 3000 })
        await attached.lower.read(1_000_000, 5000)
      }
      {
        await using again = await attachForGuests(layout)
        await expect(fill(again)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
        await expect(again.whole).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
        expect(() => again.lower.read(0, 4096)).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }))
        expect(again.lower.doubt).toBe('wrong')
      }
      await expect(attachForGuests(layout)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect(await readWrong(layout, manifest())).toMatchObject({ reason: expect.stringContaining('were given') })
      await expect(stat(layout.lazyLower(manifest()).whole)).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('is wrong, too, when another process has brought all of it, and rightly', async () => {
      const layout = await hostOfGuests()
      {
        await using attached = await attachForGuests(layout)
        published.pulls.proxy.fault(blobs, { kind: 'corrupt', at: 3000 })
        await attached.lower.read(1_000_000, 5000)
      }
      {
        await using byName = await attach(layout)
        await fill(byName)
      }
      await expect(attachForGuests(layout)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect(await readWrong(layout, manifest())).toBeDefined()
    })

    test('fails all reads when it is not what its digest says, and that is noted before anybody is told', async () => {
      const layout = await hostOfGuests()
      await using attached = await attachForGuests(layout)
      published.pulls.proxy.fault(blobs, { kind: 'corrupt', at: 3000 })
      await expect(fill(attached)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect(await readWrong(layout, manifest())).toMatchObject({ reason: expect.stringContaining('has the digest') })
    })
  })
})
