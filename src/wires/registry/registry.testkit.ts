import { createCipheriv } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type FaultProxy, startFaultProxy } from '../../../test/support/fault-proxy.ts'
import type { BuiltRoot } from '../../../test/support/image-builder.ts'
import { registryUser, type StartRegistry, startRegistry, type TestRegistry } from '../../../test/support/registry.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { digestOf, parseDigest } from '../../base/index.ts'
import { openRegistries, type Patience, type Registries, type RegistrySettings, type Repository } from './index.ts'

/** Pauses of milliseconds. Silence is borne long: a busy machine is silent, too. */
export const quickPatience: Patience = {
  connectMs: 10_000,
  idleMs: 20_000,
  tries: 4,
  firstPauseMs: 5,
  longestPauseMs: 20,
  totalMs: 30_000,
}

export interface RegistryClient extends AsyncDisposable {
  readonly registry: TestRegistry
  /** What stands between client and registry. */
  readonly proxy: FaultProxy
  readonly settings: Readonly<Record<string, RegistrySettings>>
  readonly registries: Registries
  /** A repository through the proxy. */
  repository(path: string): Repository
  /** The same, for tests of silence. */
  impatient(path: string): Repository
}

export interface ClientOptions {
  readonly user?: { readonly username: string; readonly password: string } | 'nobody'
}

/** A registry, a proxy before it, and a client that knows how to talk to both, with the credentials in a home of its own. */
export async function openRegistryClient(
  options: StartRegistry = {},
  { user = registryUser }: ClientOptions = {},
): Promise<RegistryClient> {
  const home = await temporaryDirectory()
  const registry = await startRegistry(options)
  const proxy = await startFaultProxy(registry)
  if (user !== 'nobody') await logIn(home.path, [registry.host, proxy.host], user)
  const own = registry.certificate && options.tls ? { ca: registry.certificate.certificatePath } : { plain_http: true }
  const settings = { [registry.host]: own, [proxy.host]: own }
  const env = { HOME: home.path }
  const registries = openRegistries({ settings, env, patience: quickPatience })
  const impatient = openRegistries({ settings, env, patience: { ...quickPatience, idleMs: 500, tries: 3 } })
  return {
    registry,
    proxy,
    settings,
    registries,
    repository: (path) => registries.repository({ registry: proxy.host, path }),
    impatient: (path) => impatient.repository({ registry: proxy.host, path }),
    async [Symbol.asyncDispose]() {
      await registries.close()
      await impatient.close()
      await proxy[Symbol.asyncDispose]()
      await registry[Symbol.asyncDispose]()
      await home[Symbol.asyncDispose]()
    },
  }
}

async function logIn(
  home: string,
  hosts: readonly string[],
  { username, password }: { readonly username: string; readonly password: string },
): Promise<void> {
  const auth = Buffer.from(`${username}:${password}`).toString('base64')
  await mkdir(join(home, '.docker'))
  await writeFile(
    join(home, '.docker/config.json'),
    JSON.stringify({ auths: Object.fromEntries(hosts.map((host) => [host, { auth }])) }),
  )
}

/** Pushes what an image refers to, and its manifest under a tag. */
export async function pushImage(repository: Repository, image: BuiltRoot, reference: string): Promise<void> {
  for (const [digest, content] of image.blobs) if (digest !== image.root.digest) await uploadBytes(repository, content)
  const bytes = image.blobs.get(image.root.digest) ?? Buffer.alloc(0)
  await repository.writeManifest({ reference, mediaType: image.root.mediaType, bytes })
}

export async function uploadBytes(repository: Repository, content: Buffer): Promise<void> {
  await repository.uploadBlob({
    digest: parseDigest(digestOf(content)),
    size: content.length,
    open: (from) => chunksOf(content, from),
  })
}

export async function* chunksOf(content: Buffer, from = 0): AsyncGenerator<Buffer> {
  for (let at = from; at < content.length; at += 65_536) yield content.subarray(at, at + 65_536)
}

/** Everything that an iterable gives: texts as a list, bytes as one piece. */
export async function collect(iterable: AsyncIterable<Buffer>): Promise<Buffer>
export async function collect(iterable: AsyncIterable<string>): Promise<string[]>
export async function collect(iterable: AsyncIterable<Buffer | string>): Promise<Buffer | string[]> {
  const items: (Buffer | string)[] = []
  for await (const item of iterable) items.push(item)
  const texts = items.filter((item) => typeof item === 'string')
  return texts.length > 0 ? texts : Buffer.concat(items.filter((item) => typeof item !== 'string'))
}

/** Bytes that repeat nowhere, the same each time, without much work. */
export function keystream(bytes: number, seed = 1): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(bytes))
}
