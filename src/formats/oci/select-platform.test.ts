import { describe, expect, test } from 'vitest'
import { bytesOf, sampleDescriptor, sampleIndex } from './documents.testkit.ts'
import { parseIndex } from './parse-index.ts'
import { platformOf, runsOn, selectPlatform } from './select-platform.ts'

const member = (content: string, platform?: object, annotations?: object) =>
  sampleDescriptor(content, 'application/vnd.oci.image.manifest.v1+json', { platform, annotations })
const select = (manifests: object[], arch: string) =>
  selectPlatform(parseIndex(bytesOf(sampleIndex({ manifests }))), platformOf(arch)).digest

describe('the platform of an index', () => {
  test('is the first that matches', () => {
    const twice = [
      member('other', { os: 'linux', architecture: 's390x' }),
      member('first', { os: 'linux', architecture: 'amd64' }),
      member('second', { os: 'linux', architecture: 'amd64' }),
    ]
    expect(select(twice, 'x64')).toBe(member('first').digest)
  })

  test('is never an attestation', () => {
    const amd64 = { os: 'linux', architecture: 'amd64' }
    const manifests = [
      member('a', { os: 'unknown', architecture: 'unknown' }),
      member('b', amd64, { 'vnd.docker.reference.type': 'attestation-manifest' }),
      member('image', amd64),
    ]
    expect(select(manifests, 'x64')).toBe(member('image').digest)
    expect(() => select(manifests.slice(0, 2), 'x64')).toThrow(expect.objectContaining({ code: 'PLATFORM_NOT_FOUND' }))
  })

  test('of 32-bit ARM is the newest variant that runs', () => {
    const arm = (variant: string) => member(variant, { os: 'linux', architecture: 'arm', variant })
    expect(select([arm('v5'), arm('v7'), arm('v6'), arm('v8')], 'arm')).toBe(arm('v7').digest)
  })

  test('may be left out when there is only one', () => {
    expect(select([member('only')], 'x64')).toBe(member('only').digest)
    expect(() => select([member('one'), member('two')], 'x64')).toThrow(/linux\/amd64: the image is for unknown/)
  })

  test('that is absent is an error naming what there is', () => {
    const attempt = () => selectPlatform(parseIndex(bytesOf(sampleIndex())), platformOf('s390x'))
    expect(attempt).toThrow('there is nothing for linux/s390x: the image is for linux/amd64, linux/arm64/v8')
  })

  test('of other spellings is the same', () => {
    const amd64 = platformOf('x64')
    expect(runsOn({ os: 'Linux', architecture: 'x86_64' }, amd64)).toBe(true)
    expect(runsOn({ os: 'linux', architecture: 'amd64', variant: 'v1' }, amd64)).toBe(true)
    expect(runsOn({ os: 'linux', architecture: 'amd64', variant: 'v3' }, amd64)).toBe(false)
    expect(runsOn({ os: 'linux', architecture: 'aarch64' }, platformOf('arm64'))).toBe(true)
    expect(runsOn({ os: 'windows', architecture: 'amd64' }, amd64)).toBe(false)
  })
})
