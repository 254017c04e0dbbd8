import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import { bytesOf, sampleDescriptor, sampleManifest } from './documents.testkit.ts'
import { mediaTypes } from './media-types.ts'
import { checkImageManifest, maxLayers, parseManifest } from './parse-manifest.ts'

const refused = (document: unknown, mediaType?: string) => () => parseManifest(bytesOf(document), mediaType)

describe('a manifest', () => {
  test('is parsed with its layers in order', () => {
    const manifest = parseManifest(bytesOf(sampleManifest()))
    expect(manifest.layers.map((layer) => layer.size)).toEqual([3, 3])
    expect(manifest.layers[1]).toMatchObject(sampleManifest().layers[1] as object)
    expect(manifest.annotations).toEqual({ a: 'b' })
    checkImageManifest(manifest)
  })

  test('of Docker is the equal of one of OCI', () => {
    const document = sampleManifest({
      mediaType: mediaTypes.dockerManifest,
      config: sampleDescriptor('config', mediaTypes.dockerConfig),
      layers: [sampleDescriptor('one', mediaTypes.dockerLayerGzip)],
    })
    const manifest = parseManifest(bytesOf(document), mediaTypes.dockerManifest)
    checkImageManifest(manifest)
    expect(manifest.layers).toHaveLength(1)
  })

  test('may leave out its media type, and may have null where Go writes null', () => {
    const document = sampleManifest({ mediaType: undefined, layers: null, annotations: null })
    expect(parseManifest(bytesOf(document))).toMatchObject({ mediaType: mediaTypes.ociManifest, layers: [] })
  })

  test.each([
    ['manifests beside layers', { manifests: [] }],
    ['fsLayers beside layers', { fsLayers: [] }],
    ['Layers in another case', { Layers: [] }],
    ['MANIFESTS in another case', { MANIFESTS: [] }],
    ['a media type other than its descriptor says', { mediaType: mediaTypes.ociIndex }],
    ['a media type that is no string', { mediaType: 7 }],
    ['schemaVersion 3', { schemaVersion: 3 }],
    ['schemaVersion "2"', { schemaVersion: '2' }],
    ['no schemaVersion', { schemaVersion: undefined }],
    ['no config', { config: undefined }],
    ['layers that are an object', { layers: {} }],
    ['a negative size', { layers: [{ ...sampleManifest().layers[0], size: -1 }] }],
    ['a size beyond 2^53', { layers: [{ ...sampleManifest().layers[0], size: 2 ** 60 }] }],
    ['a fractional size', { layers: [{ ...sampleManifest().layers[0], size: 1.5 }] }],
    ['a size that is a string', { layers: [{ ...sampleManifest().layers[0], size: '3' }] }],
    ['a digest that is a path', { layers: [{ ...sampleManifest().layers[0], digest: 'sha256:../../etc/passwd' }] }],
    ['a digest that is too short', { layers: [{ ...sampleManifest().layers[0], digest: 'sha256:abc' }] }],
    ['a digest in upper case', { config: { ...sampleManifest().config, digest: `sha256:${'A'.repeat(64)}` } }],
    ['a media type that is no media type', { layers: [{ ...sampleManifest().layers[0], mediaType: 'layer\n' }] }],
    ['annotations that are numbers', { annotations: { a: 1 } }],
    ['annotations that are a list', { annotations: ['a'] }],
  ])('with %s is refused', (_, change) => {
    expect(refused(sampleManifest(change))).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }))
  })

  test('of Docker schema 1 is refused with what it is', () => {
    const schema1 = { schemaVersion: 1, name: 'x', tag: 'y', fsLayers: [], history: [] }
    const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
    for (const attempt of [refused(schema1), refused(schema1, type), refused(sampleManifest(), type)]) {
      expect(attempt).toThrow(
        expect.objectContaining({ code: 'IMAGE_UNSUPPORTED', message: expect.stringMatching(/schema 1/) }),
      )
    }
  })

  test('with a digest of an unknown algorithm is unsupported, not invalid', () => {
    const config = { ...sampleManifest().config, digest: `blake3:${'0'.repeat(64)}` }
    expect(refused(sampleManifest({ config }))).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }))
  })

  test('takes sha512', () => {
    const config = { ...sampleManifest().config, digest: `sha512:${'0'.repeat(128)}` }
    expect(parseManifest(bytesOf(sampleManifest({ config }))).config.digest).toBe(config.digest)
  })

  test('of 127 layers is taken, of too many is refused with the number', () => {
    const layers = (count: number) => Array.from({ length: count }, () => sampleManifest().layers[0])
    expect(parseManifest(bytesOf(sampleManifest({ layers: layers(127) }))).layers).toHaveLength(127)
    expect(refused(sampleManifest({ layers: layers(maxLayers + 1) }))).toThrow(/1025 layers/)
  })

  test('larger than 8 MiB is refused before it is parsed', () => {
    const bytes = Buffer.alloc(8 * 2 ** 20 + 1, ' ')
    expect(() => parseManifest(bytes)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }))
  })

  test('that is no image is told apart', () => {
    const chart = sampleManifest({ config: sampleDescriptor('x', 'application/vnd.cncf.helm.config.v1+json') })
    const encrypted = sampleManifest({
      layers: [sampleDescriptor('x', 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted')],
    })
    for (const document of [chart, encrypted]) {
      const manifest = parseManifest(bytesOf(document))
      expect(() => checkImageManifest(manifest)).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }))
    }
  })
})

describe('hostile bytes', () => {
  test('arbitrary bytes and JSON give a value or a Problem', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.json().map(Buffer.from)), (bytes) => {
        valueOrProblem(() => parseManifest(bytes))
      }),
    )
  })

  test('a valid manifest with any field replaced gives a value or a Problem', () => {
    const paths = [
      ['schemaVersion'],
      ['config'],
      ['layers'],
      ['layers', 0],
      ['layers', 1, 'digest'],
      ['config', 'size'],
    ]
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        valueOrProblem(() => parseManifest(bytesOf(replaced(sampleManifest(), path, value))))
      }),
    )
  })

  test('a valid manifest with bytes overwritten gives a value or a Problem', () => {
    const valid = bytesOf(sampleManifest())
    fc.assert(
      fc.property(fc.nat(valid.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, noise) => {
        const bytes = Buffer.from(valid)
        bytes.set(noise.subarray(0, bytes.length - at), at)
        valueOrProblem(() => parseManifest(bytes))
      }),
    )
  })

  test('deep nesting neither crashes nor hangs', () => {
    valueOrProblem(() => parseManifest(Buffer.from('['.repeat(4_000_000))))
    valueOrProblem(() => parseManifest(Buffer.from(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)))
  })
})

function valueOrProblem(attempt: () => unknown): void {
  try {
    attempt()
  } catch (error) {
    if (!isProblem(error)) throw error
  }
}

function replaced(document: unknown, [key, ...rest]: readonly (string | number)[], value: unknown): unknown {
  if (key === undefined) return value
  const copy = structuredClone(document) as Record<string | number, unknown>
  copy[key] = replaced(copy[key], rest, value)
  return copy
}
