import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf, isProblem } from '../../base/index.ts'
import { type Descriptor, mediaTypes, parseIndex, parseManifest, platformOf, selectPlatform } from '../oci/index.ts'
import {
  emptyConfig,
  encodePublishedIndex,
  encodeRootfsManifest,
  inlineManifest,
  isRootfsManifest,
  parseRootfsManifest,
  type RootfsDocument,
  type RootfsManifest,
  rootfsMembers,
} from './index.ts'

const digest = fc.string().map((text) => digestOf(text))
const part = fc.record({ digest, size: fc.nat(), lowerBytes: fc.nat() })
const rootfs: fc.Arbitrary<RootfsManifest> = fc.record({
  writerVersion: fc.nat(100),
  profile: fc.constantFrom('plain', 'lz4'),
  subject: fc.record({ mediaType: fc.constant(mediaTypes.ociManifest), digest, size: fc.nat() }),
  bootstrap: part,
  data: fc.array(
    fc.tuple(part, digest).map(([one, diffId]) => ({ ...one, diffId })),
    { maxLength: 5 },
  ),
  chunkIndex: fc.record({ digest, size: fc.nat() }),
  traces: fc.uniqueArray(
    fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), digest, size: fc.nat({ max: 1 << 20 }) }),
    {
      selector: ({ name }) => name,
      maxLength: 4,
    },
  ),
})

describe('a rootfs manifest', () => {
  test('reads back as it was written, as a manifest of its type', () => {
    fc.assert(
      fc.property(rootfs, (written) => {
        const manifest = parseManifest(encodeRootfsManifest(written))
        expect(isRootfsManifest(manifest)).toBe(true)
        expect(parseRootfsManifest(manifest)).toEqual(written)
      }),
    )
  })

  test('layers of another type are passed over', () => {
    const document = documentOf(sample())
    document.layers.push({ mediaType: 'application/vnd.cowshed.rootfs.other.v1', digest: digestOf('t'), size: 1 })
    expect(parseRootfsManifest(parseManifest(Buffer.from(JSON.stringify(document))))).toEqual(sample())
  })

  test('boot traces that cannot be used are passed over, and are never many', () => {
    const trace = (name: string | undefined, size = 1) => ({
      ...{ mediaType: 'application/vnd.cowshed.rootfs.trace.v1', digest: digestOf('t'), size },
      ...(name !== undefined && { annotations: { 'vnd.cowshed.rootfs.trace': name } }),
    })
    const tracesOf = (...layers: object[]) => {
      const document = documentOf(sample())
      document.layers.push(...layers)
      return parseRootfsManifest(parseManifest(Buffer.from(JSON.stringify(document)))).traces.map(({ name }) => name)
    }
    const wrong = [undefined, '', '../x', 'A'].map((name) => trace(name))
    expect(tracesOf(...wrong, trace('large', 2 << 20), trace('boot'), trace('boot', 2))).toEqual(['boot'])
    expect(tracesOf(...Array.from({ length: 100 }, (_, at) => trace(`t${at}`)))).toHaveLength(16)
  })

  test.each([
    ['no subject', (it: Document) => delete it.subject],
    ['no bootstrap', (it: Document) => it.layers.shift()],
    ['no chunk index', (it: Document) => it.layers.pop()],
    ['two chunk indexes', (it: Document) => it.layers.push(it.layers.at(-1) as object)],
    ['a size that is none', (it: Document) => Object.assign(it.layers[0] as object, { annotations: {} })],
    ['a size that is negative', (it: Document) => annotate(it, 1, { 'vnd.cowshed.rootfs.uncompressed-size': '-1' })],
    ['a diff_id that is a path', (it: Document) => annotate(it, 1, { 'vnd.cowshed.rootfs.diff-id': '../../x' })],
    ['no writer', (it: Document) => delete it.annotations],
  ])('%s is refused', (_, change) => {
    const document = documentOf(sample())
    change(document)
    const manifest = parseManifest(Buffer.from(JSON.stringify(document)))
    expect(() => parseRootfsManifest(manifest)).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }))
  })

  test('annotations of any kind give a value or a problem', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), fc.string(), (own, text) => {
        const document = documentOf(sample())
        annotate(document, 1, { ...own, 'vnd.cowshed.rootfs.uncompressed-size': text })
        try {
          const { data } = parseRootfsManifest(parseManifest(Buffer.from(JSON.stringify(document))))
          expect(data[0]?.lowerBytes).toBe(Number(text))
        } catch (error) {
          if (!isProblem(error)) throw error
        }
      }),
    )
  })
})

describe('the index of a published image', () => {
  const image: Descriptor = { mediaType: mediaTypes.dockerManifest, digest: digestOf('image'), size: 5 }
  const platform = platformOf('arm64')
  const documentOf = (bytes: Buffer): RootfsDocument => ({
    descriptor: { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length },
    bytes,
  })
  const indexOf = (rootfs: RootfsDocument) =>
    parseIndex(encodePublishedIndex({ image: { ...image, platform }, rootfs }))

  test('gives the image to those who want one, and the rootfs to those who know it', () => {
    const rootfs = documentOf(Buffer.from('rootfs'))
    expect(selectPlatform(indexOf(rootfs), platform)).toMatchObject({ ...image, platform })
    expect(rootfsMembers(indexOf(rootfs))).toMatchObject([rootfs.descriptor])
  })

  test('has the rootfs manifest itself, unless that is long', () => {
    fc.assert(
      fc.property(rootfs, (manifest) => {
        const document = documentOf(encodeRootfsManifest(manifest))
        const [member] = rootfsMembers(indexOf(document))
        expect(member && inlineManifest(member)).toEqual(document.bytes)
      }),
    )
    const [member] = rootfsMembers(indexOf(documentOf(Buffer.alloc(16 * 1024 + 1, ' '))))
    expect(member && inlineManifest(member)).toBeUndefined()
  })

  test.each([
    ['other bytes', { 'vnd.cowshed.rootfs-manifest': 'rootfz' }],
    ['more of them', { 'vnd.cowshed.rootfs-manifest': 'rootfs ' }],
    ['none', {}],
  ])('%s in the place of a rootfs manifest are as good as none', (_, annotations) => {
    expect(inlineManifest({ ...documentOf(Buffer.from('rootfs')).descriptor, annotations })).toBeUndefined()
  })

  test('what is another artifact, or no manifest, is no rootfs', () => {
    const others = {
      mediaType: mediaTypes.ociIndex,
      manifests: [{ ...image, artifactType: 'text/plain' }, image],
      unsupported: [],
    }
    expect(rootfsMembers(others)).toEqual([])
  })
})

test('the empty config is what it says', () => {
  const { bytes, descriptor } = emptyConfig
  expect([digestOf(bytes), bytes.length]).toEqual([descriptor.digest, descriptor.size])
})

interface Document {
  layers: object[]
  subject?: object
  annotations?: object
}

function documentOf(value: RootfsManifest): Document {
  return JSON.parse(encodeRootfsManifest(value).toString()) as Document
}

function annotate(document: Document, layer: number, annotations: Record<string, string>): void {
  const target = document.layers[layer] as { annotations: Record<string, string> }
  target.annotations = { ...target.annotations, ...annotations }
}

function sample(): RootfsManifest {
  const part = (name: string) => ({ digest: digestOf(name), size: 10, lowerBytes: 4096 })
  return {
    writerVersion: 1,
    profile: 'plain',
    subject: { mediaType: mediaTypes.ociManifest, digest: digestOf('image'), size: 5 },
    bootstrap: part('bootstrap'),
    data: [{ ...part('data'), diffId: digestOf('layer') }],
    chunkIndex: { digest: digestOf('index'), size: 7 },
    traces: [],
  }
}
