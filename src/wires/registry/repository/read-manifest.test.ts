import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Fault } from '../../../../test/support/fault-proxy.ts'
import { buildImage } from '../../../../test/support/image-builder.ts'
import { needs } from '../../../../test/support/needs.ts'
import { registryTools } from '../../../../test/support/registry.ts'
import { digestOf, isProblem, parseDigest } from '../../../base/index.ts'
import { documentLimits, mediaTypes } from '../../../formats/index.ts'
import { openRegistryClient, pushImage, type RegistryClient } from '../registry.testkit.ts'

const image = buildImage()
const manifest = image.blobs.get(image.root.digest) ?? Buffer.alloc(0)

describe.runIf(needs({ tools: registryTools }))('a manifest', () => {
  let client: RegistryClient
  beforeAll(async () => {
    client = await openRegistryClient()
    await pushImage(client.repository('team/app'), image, 'v1')
  })
  afterAll(async () => {
    await client[Symbol.asyncDispose]()
  })
  beforeEach(() => client.proxy.clear())

  const repository = () => client.repository('team/app')
  const fault = (what: Fault, method = 'GET') => client.proxy.fault({ method, path: /\/manifests\//, times: 100 }, what)
  const answers = (body: string | object, contentType?: string, headers: Record<string, string> = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    fault({ kind: 'answer', status: 200, body: text, headers: { 'content-type': contentType ?? '', ...headers } })
  }

  test.each<[string, Fault]>([
    ['knows no HEAD', { kind: 'answer', status: 405 }],
    ['does not say the digest', { kind: 'headers', headers: { 'docker-content-digest': undefined } }],
    ['says a digest that is none', { kind: 'headers', headers: { 'docker-content-digest': 'sha256:../../x' } }],
    ['does not say the size', { kind: 'headers', headers: { 'content-length': '0' } }],
    ['does not say the type', { kind: 'headers', headers: { 'content-type': 'text/html' } }],
  ])('is resolved with GET where the registry %s', async (_, what) => {
    fault(what, 'HEAD')
    expect(await repository().resolve('v1')).toEqual(image.root)
    expect(client.proxy.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET'])
  })

  test('is resolved without its body where HEAD tells all', async () => {
    expect(await repository().resolve('v1')).toEqual(image.root)
    expect(client.proxy.requests.map(({ method }) => method)).toEqual(['HEAD'])
    expect(client.proxy.requests[0]?.headers.accept?.split(', ')).toHaveLength(4)
  })

  test.each<[string, Fault]>([
    ['a reset', { kind: 'reset', after: 30 }],
    ['silence', { kind: 'stall', after: 30 }],
    ['500', { kind: 'answer', status: 500 }],
    ['429', { kind: 'answer', status: 429, headers: { 'retry-after': '0' } }],
    ['a Content-Length that is too large', { kind: 'headers', headers: { 'content-length': '999999' } }],
  ])('comes after %s', async (_, what) => {
    client.proxy.fault({ method: 'GET' }, what)
    const place = what.kind === 'stall' ? client.impatient('team/app') : repository()
    expect((await place.readManifest(image.root.digest)).bytes.equals(manifest)).toBe(true)
  })

  test.each<[string, Fault]>([
    ['wrong bytes', { kind: 'corrupt', at: 20 }],
    ['a short body', { kind: 'short', after: 20 }],
    ['a long body', { kind: 'long', extra: 20 }],
    [
      'a digest in the header that is another',
      { kind: 'headers', headers: { 'docker-content-digest': digestOf('x') } },
    ],
  ])('by digest is refused with %s, and by tag too where the registry says the digest', async (_, what) => {
    fault(what)
    await expect(repository().readManifest(image.root.digest)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    await expect(repository().readManifest('v1')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })

  test('under a sha512 digest is verified against it', async () => {
    const digest = parseDigest(`sha512:${createHash('sha512').update(manifest).digest('hex')}`)
    answers(manifest.toString(), mediaTypes.ociManifest)
    expect((await repository().readManifest(digest)).descriptor.digest).toBe(digest)
    const wrong = parseDigest(`sha512:${'0'.repeat(128)}`)
    await expect(repository().readManifest(wrong)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })

  const fields = JSON.parse(manifest.toString()) as object
  test.each<[string, string | object, string, string]>([
    ['another type in its header than in itself', fields, mediaTypes.ociIndex, 'IMAGE_INVALID'],
    ['layers and manifests', { ...fields, manifests: [] }, mediaTypes.ociManifest, 'IMAGE_INVALID'],
    ['Layers beside layers', { ...fields, Layers: [] }, mediaTypes.ociManifest, 'IMAGE_INVALID'],
    ['layers in an index', { schemaVersion: 2, manifests: [], layers: [] }, mediaTypes.ociIndex, 'IMAGE_INVALID'],
    [
      'schema 1',
      { schemaVersion: 1, fsLayers: [] },
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'IMAGE_UNSUPPORTED',
    ],
    ['schema 1 that hides it', { schemaVersion: 1, fsLayers: [] }, 'application/json', 'IMAGE_UNSUPPORTED'],
    ['a type that is no image', { schemaVersion: 2 }, 'application/vnd.example+json', 'IMAGE_UNSUPPORTED'],
    ['a page of HTML', '<html>', 'text/html', 'IMAGE_INVALID'],
    ['no JSON', '{', mediaTypes.ociManifest, 'IMAGE_INVALID'],
    ['JSON that is no object', '[]', mediaTypes.ociManifest, 'IMAGE_INVALID'],
    ['nothing', '', mediaTypes.ociManifest, 'IMAGE_INVALID'],
  ])('with %s is refused', async (_, body, type, code) => {
    answers(body, type)
    await expect(repository().readManifest('v1')).rejects.toMatchObject({ code })
  })

  test.each([
    ['', image.root.mediaType],
    ['application/json', image.root.mediaType],
    ['text/plain; charset=utf-8', image.root.mediaType],
    ['Application/VND.oci.image.manifest.v1+json; charset=utf-8', image.root.mediaType],
  ])('of a server that calls it %j is what it says itself', async (type, expected) => {
    answers(manifest.toString(), type)
    expect((await repository().readManifest('v1')).descriptor.mediaType).toBe(expected)
  })

  test('that is too large is not read, whether its length is told or not', async () => {
    const padding = ' '.repeat(documentLimits.manifest)
    answers(`${padding}{}`, mediaTypes.ociManifest)
    await expect(repository().readManifest('v1')).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    client.proxy.clear()
    client.proxy.fault({ method: 'GET' }, { kind: 'long', extra: documentLimits.manifest })
    await expect(repository().readManifest('v1')).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  })

  test('whose error is hostile has a message that a terminal can show', async () => {
    const message = `\u001b[2J${'x'.repeat(100_000)}`
    const body = JSON.stringify({ errors: [{ code: 'DENIED\u202e', message }, 7, null] })
    fault({ kind: 'answer', status: 403, body })
    const refusal: unknown = await repository()
      .readManifest('v1')
      .catch((error: unknown) => error)
    if (!isProblem(refusal)) throw refusal
    expect(refusal.code).toBe('REGISTRY_UNAUTHORIZED')
    expect(refusal.message).toContain('DENIED')
    expect(refusal.message.length).toBeLessThan(600)
    expect(refusal.message).not.toMatch(/[\u0000-\u001f\u202e]/)
  })

  test('is not written under a digest that is not its own', async () => {
    const request = { reference: digestOf('x'), mediaType: mediaTypes.ociManifest, bytes: manifest }
    await expect(repository().writeManifest(request)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(client.proxy.requests).toEqual([])
  })

  test('whose blobs are not there is refused by the registry, which says so', async () => {
    const other = buildImage({ architecture: 'other' })
    const bytes = other.blobs.get(other.root.digest) ?? Buffer.alloc(0)
    await expect(
      repository().writeManifest({ reference: 'v2', mediaType: other.root.mediaType, bytes }),
    ).rejects.toMatchObject({ message: expect.stringContaining('MANIFEST_BLOB_UNKNOWN') })
  })
})
