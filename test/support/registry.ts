import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { firstMatch, killScript } from './node-script.ts'
import { type Certificate, issueCertificate } from './registry-certificate.ts'
import { startTokenServer, type TokenServer } from './registry-token-server.ts'
import { htpasswdLine } from './registry-user.ts'
import { temporaryDirectory } from './temporary-directory.ts'

export { registryUser } from './registry-user.ts'

/** The programs that a test registry needs, for `needs({tools})`. */
export const registryTools = ['docker-registry', 'openssl']

export interface StartRegistry {
  /** Basic: htpasswd. Token: a server of ours gives out Bearer tokens. Without it, anyone may do anything. */
  readonly auth?: 'basic' | 'token'
  readonly tls?: true
  /** How long tokens are good; 300 unless told. */
  readonly tokenSeconds?: number
  /** A directory that stays, for what is kept between runs; one of its own unless told. */
  readonly storage?: string
}

export interface TestRegistry {
  /** `127.0.0.1:port`, as in the name of an image. */
  readonly host: string
  /** `http://127.0.0.1:port`, or https. */
  readonly url: string
  /** The certificate that vouches for it, with tls. */
  readonly certificate: Certificate | undefined
  /** With auth: 'token'. */
  readonly tokens: TokenServer | undefined
  /** Where it stores things: `docker/registry/v2/…`. */
  readonly storage: string
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * Debian's docker-registry on a port of its own, with a storage of its own: `await using registry = await startRegistry()`. Uploads and
 * deletes are allowed.
 */
export async function startRegistry(options: StartRegistry = {}): Promise<TestRegistry> {
  const parts: AsyncDisposable[] = []
  const end = async () => {
    for (const part of parts.splice(0).reverse()) await part[Symbol.asyncDispose]()
  }
  try {
    const directory = await temporaryDirectory()
    parts.push(directory)
    const setting = await prepare(directory.path, options, parts)
    const child = spawn('docker-registry', ['serve', setting.config], { stdio: ['ignore', 'ignore', 'pipe'] })
    parts.push({ [Symbol.asyncDispose]: () => killScript(child) })
    const host = await listeningAddress(child)
    const url = `${options.tls ? 'https' : 'http'}://${host}`
    return { ...setting, host, url, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

async function prepare(directory: string, options: StartRegistry, parts: AsyncDisposable[]) {
  const { storage = join(directory, 'storage') } = options
  await mkdir(storage, { recursive: true })
  const certificate = options.tls || options.auth === 'token' ? await issueCertificate(directory) : undefined
  let tokens: TokenServer | undefined
  if (options.auth === 'token' && certificate !== undefined) {
    tokens = await startTokenServer({ certificate, tls: options.tls ?? false, seconds: options.tokenSeconds ?? 300 })
    parts.push(tokens)
  }
  const users = join(directory, 'htpasswd')
  await writeFile(users, htpasswdLine)
  const tls = options.tls ? { tls: { certificate: certificate?.certificatePath, key: certificate?.keyPath } } : {}
  const auth = {
    ...(options.auth === 'basic' ? { htpasswd: { realm: 'test', path: users } } : {}),
    ...(tokens === undefined ? {} : { token: tokens.registryConfig }),
  }
  const config = join(directory, 'config.yml')
  // JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      version: 0.1,
      log: { level: 'info', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: storage }, delete: { enabled: true } },
      http: { addr: '127.0.0.1:0', secret: 'of a test', ...tls },
      ...(options.auth === undefined ? {} : { auth }),
    }),
  )
  return { config, storage, certificate, tokens }
}

async function listeningAddress(child: ChildProcess): Promise<string> {
  const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error))
  const [, address] = await Promise.race([firstMatch(child.stderr, /listening on (127\.0\.0\.1:\d+)/), failed])
  // What it logs from here on is read away: a full pipe would stop it.
  child.stderr?.resume()
  return String(address)
}
