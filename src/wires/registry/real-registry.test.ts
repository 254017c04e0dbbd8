import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildImage, buildIndex, buildLayer } from '../../../test/support/image-builder.ts'
import { needs } from '../../../test/support/needs.ts'
import { registryTools, registryUser, type StartRegistry, startRegistry } from '../../../test/support/registry.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { digestOf, parseDigest } from '../../base/index.ts'
import { parseIndex } from '../../formats/index.ts'
import { openRegistries } from './index.ts'
import { chunksOf, collect, keystream, openRegistryClient, pushImage, uploadBytes } from './registry.testkit.ts'

const kinds: [string, StartRegistry][] = [
  ['open to anyone', {}],
  ['with passwords', { auth: 'basic' }],
  ['with tokens', { auth: 'token' }],
  ['with tokens, over TLS', { auth: 'token', tls: true }],
]

describe.runIf(needs({ tools: registryTools })).each(kinds)('a registry %s', (_, options) => {
  test('takes an image and gives it back, byte for byte', async () => {
    await using client = await openRegistryClient(options)
    const repository = client.repository('team/app')
    const image = buildImage({
      layers: [buildLayer([{ path: 'big', content: keystream(5 << 20) }], { compression: 'none' })],
    })
    await pushImage(repository, image, 'v1')

    const { descriptor, bytes } = await repository.readManifest('v1')
    expect(descriptor).toEqual(image.root)
    expect(digestOf(bytes)).toBe(image.root.digest)
    expect(await repository.resolve('v1')).toEqual(image.root)
    expect(await repository.resolve(image.root.digest)).toEqual(image.root)
    for (const [digest, content] of image.blobs) {
      if (digest === image.root.digest) continue
      const request = { digest: parseDigest(digest), size: content.length }
      expect((await collect(repository.readBlob(request))).equals(content)).toBe(true)
      const half = Math.floor(content.length / 2)
      expect((await collect(repository.readBlob({ ...request, from: half }))).equals(content.subarray(half))).toBe(true)
      const some = await collect(repository.readBlob({ ...request, from: 1, until: half }))
      expect(some.equals(content.subarray(1, half))).toBe(true)
    }
  })

  test('keeps an index and the Docker types as they are', async () => {
    await using client = await openRegistryClient(options)
    const repository = client.repository('team/app')
    const members = [buildImage({ family: 'docker' }), buildImage({ family: 'docker', architecture: 'other' })]
    for (const member of members) await pushImage(repository, member, member.root.digest)
    const index = buildIndex(members, { family: 'docker' })
    const bytes = index.blobs.get(index.root.digest) ?? Buffer.alloc(0)
    await repository.writeManifest({ reference: 'all', mediaType: index.root.mediaType, bytes })
    expect((await repository.readManifest('all')).descriptor).toEqual(index.root)
    expect(await collect(repository.listTags())).toEqual(['all'])
  })

  test('mounts a blob of another repository, and says what it lacks', async () => {
    await using client = await openRegistryClient(options)
    const blob = keystream(1 << 20)
    const digest = digestOf(blob)
    await uploadBytes(client.repository('one/source'), blob)
    const target = client.repository('two/target')
    expect(await target.hasBlob(digest)).toBe(false)
    expect(await target.mountBlob(digest, 'one/source')).toBe(true)
    const asked = client.registry.tokens?.requests.map(({ scopes }) => scopes.join(' ')) ?? []
    if (options.auth === 'token') expect(asked).toContain('repository:two/target:pull,push repository:one/source:pull')
    expect(await target.hasBlob(digest)).toBe(true)
    expect(await target.mountBlob(digestOf('nothing'), 'one/source')).toBe(false)
    await expect(target.readManifest('missing')).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
    await expect(target.resolve('missing')).rejects.toMatchObject({ code: 'REGISTRY_NOT_FOUND' })
    await expect(collect(target.readBlob({ digest: digestOf('nothing'), size: 7 }))).rejects.toMatchObject({
      code: 'REGISTRY_NOT_FOUND',
    })
  })

  test('refuses a blob that is not what its digest promises', async () => {
    await using client = await openRegistryClient(options)
    const blob = keystream(5 << 20)
    const upload = {
      digest: digestOf('another'),
      size: blob.length,
      open: () => chunksOf(blob),
    }
    await expect(client.repository('team/app').uploadBlob(upload)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
  })
})

describe.runIf(needs({ tools: registryTools }))('who asks', () => {
  test.each([
    ['basic', undefined],
    ['basic', { username: registryUser.username, password: 'wrong' }],
    ['token', { username: registryUser.username, password: 'wrong' }],
  ] as const)('%s authentication with %j is refused, with a hint and no password', async (auth, user) => {
    await using client = await openRegistryClient({ auth }, { user: user ?? 'nobody' })
    const refusal = await client
      .repository('team/app')
      .readManifest('v1')
      .catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' })
    expect(JSON.stringify([refusal, (refusal as Error).message])).not.toContain('wrong"')
  })

  test('nobody may pull what anyone may pull, without credentials, and not push', async () => {
    await using client = await openRegistryClient({ auth: 'token' })
    await pushImage(client.repository('team/app'), buildImage(), 'v1')
    const anonymous = openRegistries({ settings: client.settings, env: {} })
    const repository = anonymous.repository({ registry: client.registry.host, path: 'team/app' })
    expect((await repository.readManifest('v1')).descriptor.size).toBeGreaterThan(0)
    expect(await repository.mountBlob(digestOf('x'), 'team/other')).toBe(false)
    await expect(uploadBytes(repository, keystream(100))).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' })
    await anonymous.close()
  })

  test('an identity token is exchanged for tokens by OAuth2', async () => {
    await using registry = await startRegistry({ auth: 'token' })
    await using home = await temporaryDirectory()
    await mkdir(join(home.path, '.docker'))
    const auths = { [registry.host]: { identitytoken: registry.tokens?.refreshToken } }
    await writeFile(join(home.path, '.docker/config.json'), JSON.stringify({ auths }))
    const registries = openRegistries({ settings: { [registry.host]: { plain_http: true } }, env: { HOME: home.path } })
    await uploadBytes(registries.repository({ registry: registry.host, path: 'team/app' }), keystream(100))
    expect(registry.tokens?.requests.map(({ method }) => method)).toContain('POST')
    await registries.close()
  })

  test('a token is asked for once for many requests at once, and again when it is over', async () => {
    await using client = await openRegistryClient({ auth: 'token', tokenSeconds: 1 })
    const repository = client.repository('team/app')
    await pushImage(repository, buildImage(), 'v1')
    const tokens = client.registry.tokens?.requests ?? []
    tokens.length = 0
    await Promise.all(Array.from({ length: 8 }, () => repository.readManifest('v1')))
    expect(tokens.length).toBeLessThanOrEqual(2)
  })
})

describe.runIf(needs({ tools: registryTools }))('a conversation that cannot be', () => {
  test('TLS with a registry that has none, and the other way round, say what to set', async () => {
    await using plain = await startRegistry()
    await using tls = await startRegistry({ tls: true })
    const registries = openRegistries({ env: {}, settings: { [tls.host]: { plain_http: true } } })
    const read = async (registry: string) =>
      await registries
        .repository({ registry, path: 'team/app' })
        .readManifest('v1')
        .catch((error: unknown) => error)
    expect(await read(plain.host)).toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      hint: expect.stringContaining('plain_http'),
    })
    expect(await read(tls.host)).toMatchObject({ code: 'REGISTRY_FAILED', hint: expect.stringContaining('plain_http') })
    await registries.close()
  })

  test('a certificate that nobody vouches for says what to set', async () => {
    await using tls = await startRegistry({ tls: true })
    const registries = openRegistries({ env: {} })
    await expect(
      registries.repository({ registry: tls.host, path: 'team/app' }).readManifest('v1'),
    ).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      hint: expect.stringContaining(`registries."${tls.host}".ca`),
    })
    await registries.close()
  })

  test('nobody there is a Problem after the tries that were granted', async () => {
    const registries = openRegistries({ env: {}, patience: { tries: 3, firstPauseMs: 1 } })
    const repository = registries.repository({ registry: '127.0.0.1:1', path: 'a' }, { plainHttp: true })
    await expect(repository.hasBlob(digestOf('x'))).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    })
    const signal = AbortSignal.abort()
    await expect(repository.readManifest('v1', { signal })).rejects.toMatchObject({ code: 'CANCELLED' })
    await registries.close()
  })

  test('what began with TLS does not go on without, for a token, a storage or an upload', async () => {
    await using client = await openRegistryClient({ tls: true })
    const repository = client.repository('team/app')
    const elsewhere = { location: 'http://127.0.0.1:1/', 'www-authenticate': 'Bearer realm="http://127.0.0.1:1/"' }
    for (const status of [401, 307]) {
      client.proxy.fault({}, { kind: 'answer', status, headers: elsewhere })
      await expect(repository.readManifest('v1')).rejects.toMatchObject({
        code: 'REGISTRY_FAILED',
        message: expect.stringContaining('from https to http'),
      })
    }
    client.proxy.fault({ method: 'POST' }, { kind: 'headers', headers: { location: 'http://127.0.0.1:1/' } })
    await expect(uploadBytes(repository, keystream(9))).rejects.toMatchObject({ code: 'REGISTRY_FAILED' })
  })

  test.each(['/nowhere/ca.pem', import.meta.filename])('certificates in %s are none', async (ca) => {
    const registries = openRegistries({ env: {}, settings: { 'registry.test': { ca } } })
    const repository = registries.repository({ registry: 'registry.test', path: 'app' })
    await expect(repository.readManifest('v1')).rejects.toMatchObject({
      code: 'SETTINGS_INVALID',
      message: expect.stringContaining(ca),
    })
  })

  test.each([
    ['registry.test/x', 'app'],
    ['user@registry.test', 'app'],
    ['', 'app'],
    ['registry.test', '../app'],
    ['registry.test', 'app?x'],
    ['registry.test', ''],
  ])('%s has no repository %s', (registry, path) => {
    expect(() => openRegistries({ env: {} }).repository({ registry, path })).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    )
  })

  test('names that would lead elsewhere are not asked for', async () => {
    const repository = openRegistries({ env: {} }).repository({ registry: 'registry.test', path: 'app' })
    const refused = { code: 'INVALID_REQUEST' }
    await expect(repository.readManifest('../../blobs/x')).rejects.toMatchObject(refused)
    await expect(repository.mountBlob(digestOf('x'), '../x&y')).rejects.toMatchObject(refused)
    const bytes = Buffer.from('{}')
    await expect(repository.writeManifest({ reference: 'a/b', mediaType: 'x/y', bytes })).rejects.toMatchObject(refused)
  })

  test('lists what has a subject with that, under a tag unless the registry does it itself', async () => {
    await using client = await openRegistryClient()
    const repository = client.repository('team/app')
    const image = buildImage()
    await pushImage(repository, image, 'v1')
    const { mediaType, digest, size } = image.root
    const about = async (note: string) => {
      const document = { ...JSON.parse((await repository.readManifest('v1')).bytes.toString()), annotations: { note } }
      const bytes = Buffer.from(JSON.stringify({ ...document, subject: { mediaType, digest, size } }))
      return await repository.writeManifest({ reference: digestOf(bytes), mediaType, bytes })
    }
    const tag = digest.replace(':', '-')
    const listed = async () => parseIndex((await repository.readManifest(tag)).bytes).manifests
    const [first, second] = [await about('first'), await about('second')]
    await about('first')
    expect(await listed()).toMatchObject([
      {
        digest: first,
        artifactType: image.root.mediaType.replace('manifest', 'config'),
        annotations: { note: 'first' },
      },
      { digest: second, annotations: { note: 'second' } },
    ])
    client.proxy.fault({ method: 'PUT' }, { kind: 'headers', headers: { 'oci-subject': digest } })
    await about('third')
    expect(await listed()).toHaveLength(2)
    const bytes = image.blobs.get(digest) ?? Buffer.alloc(0)
    await repository.writeManifest({ reference: tag, mediaType, bytes })
    await expect(about('fourth')).rejects.toMatchObject({
      code: 'IMAGE_INVALID',
      message: expect.stringContaining(tag),
    })
  })
})
