import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import { bytesOf, sampleDescriptor, sampleIndex } from './documents.testkit.ts'
import { mediaTypes } from './media-types.ts'
import { parseIndex } from './parse-index.ts'

describe('an index', () => {
  test('is parsed with its platforms', () => {
    const index = parseIndex(bytesOf(sampleIndex()))
    expect(index.manifests.map((member) => member.platform?.architecture)).toEqual(['amd64', 'arm64', 'unknown'])
  })

  test('of Docker is a manifest list', () => {
    const document = sampleIndex({ mediaType: mediaTypes.dockerManifestList })
    expect(parseIndex(bytesOf(document), mediaTypes.dockerManifestList).manifests).toHaveLength(3)
  })

  test('keeps members of unknown algorithms apart and takes the others', () => {
    const strange = { mediaType: 'text/plain', digest: `blake3:${'0'.repeat(64)}`, size: 1 }
    const index = parseIndex(bytesOf(sampleIndex({ manifests: [strange, ...sampleIndex().manifests] })))
    expect(index.manifests).toHaveLength(3)
    expect(index.unsupported).toEqual([strange])
  })

  test.each([
    ['layers', { layers: [] }],
    ['a config', { config: {} }],
    ['Manifests in another case', { Manifests: [] }],
    ['the media type of a manifest', { mediaType: mediaTypes.ociManifest }],
    ['a member without size', { manifests: [{ ...sampleDescriptor('x', 'text/plain'), size: undefined }] }],
    ['a platform that is a string', { manifests: [sampleDescriptor('x', 'text/plain', { platform: 'linux' })] }],
  ])('with %s is refused', (_, change) => {
    expect(() => parseIndex(bytesOf(sampleIndex(change)))).toThrow(expect.objectContaining({ code: 'IMAGE_INVALID' }))
  })

  test('arbitrary members give a value or a Problem', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), (manifests) => {
        try {
          parseIndex(bytesOf(sampleIndex({ manifests })))
        } catch (error) {
          if (!isProblem(error)) throw error
        }
      }),
    )
  })
})
