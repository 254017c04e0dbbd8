import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { errnoCode, Problem } from '../../../base/index.ts'
import { normalizeRepositoryKey } from '../repository-keys.ts'
import type { Credentials } from './credentials.ts'

/** What Docker's config.json and containers' auth.json have in common. Keys are in the form of repositoryKeys. */
export interface CredentialFile {
  readonly helpers: ReadonlyMap<string, string>
  /** The helper for every registry that has none of its own. */
  readonly store: string | undefined
  readonly entries: ReadonlyMap<string, Credentials>
}

const maxBytes = 4 * 2 ** 20

/** The files that are looked at, in order. */
export function credentialFilePaths(env: Readonly<Record<string, string | undefined>>): string[] {
  const { DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR, HOME } = env
  const docker = DOCKER_CONFIG || (HOME && join(HOME, '.docker'))
  const paths = [
    docker && join(docker, 'config.json'),
    REGISTRY_AUTH_FILE,
    XDG_RUNTIME_DIR && join(XDG_RUNTIME_DIR, 'containers/auth.json'),
    HOME && join(HOME, '.config/containers/auth.json'),
  ]
  return paths.filter((path): path is string => path !== undefined && path !== '')
}

/** Undefined when there is none. @throws Problem SETTINGS_INVALID, whose message has nothing of what is in the file */
export async function readCredentialFile(path: string): Promise<CredentialFile | undefined> {
  const text = await readText(path)
  return text === undefined ? undefined : parseCredentialFile(text, path)
}

const Entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
})

const Document = z.object({
  auths: z.record(z.string(), Entry.nullable()).nullish(),
  credHelpers: z.record(z.string(), z.string()).nullish(),
  credsStore: z.string().nullish(),
})

export function parseCredentialFile(text: string, path: string): CredentialFile {
  const { auths, credHelpers, credsStore } = parseDocument(text, path)
  const entries = new Map<string, Credentials>()
  for (const [key, entry] of Object.entries(auths ?? {})) {
    const credentials = entry === null ? undefined : credentialsOf(entry)
    const normalized = normalizeRepositoryKey(key)
    if (credentials !== undefined && !entries.has(normalized)) entries.set(normalized, credentials)
  }
  const helpers = new Map(
    Object.entries(credHelpers ?? {}).map(([key, helper]) => [normalizeRepositoryKey(key), helper]),
  )
  return { helpers, store: credsStore || undefined, entries }
}

function parseDocument(text: string, path: string): z.infer<typeof Document> {
  try {
    return Document.parse(JSON.parse(text))
  } catch {
    // What parsers say quotes what they read: passwords.
    throw new Problem('SETTINGS_INVALID', `${path} is not a file of credentials as docker and podman write them`)
  }
}

function credentialsOf(entry: z.infer<typeof Entry>): Credentials | undefined {
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken }
  if (entry.identitytoken) return { kind: 'identity-token', token: entry.identitytoken }
  if (entry.auth) return decodeAuth(entry.auth)
  if (!entry.username) return undefined
  return { kind: 'password', username: entry.username, password: entry.password ?? '' }
}

/** base64 of `user:password`, the way docker has it: NULs after the password are padding. */
function decodeAuth(auth: string): Credentials | undefined {
  const text = Buffer.from(auth, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1) return undefined
  return { kind: 'password', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    if ((await stat(path)).size > maxBytes)
      throw new Problem('SETTINGS_INVALID', `${path} is too large for credentials`)
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') return undefined
    throw error
  }
}
