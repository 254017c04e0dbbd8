import { printable } from '../../../base/index.ts'
import type { RepositoryName } from '../registry.ts'
import { mostSpecific, repositoryKeys } from '../repository-keys.ts'
import { askCredentialHelper } from './ask-credential-helper.ts'
import { type CredentialFile, credentialFilePaths, readCredentialFile } from './credential-file.ts'
import type { Credentials, FoundCredentials } from './credentials.ts'

/**
 * The credentials for a repository: of the first file that has any for it. In a file, the most specific key counts, and helpers come before
 * what the file itself holds. Files and helpers are asked anew each time: who has just logged in need not restart a daemon.
 *
 * Never throws: what cannot be read is a note, because most repositories can be read by anyone.
 *
 * @see containers-auth.json(5); docker login, "Credential stores"
 */
export async function findCredentials(
  { registry, path }: RepositoryName,
  env: Readonly<Record<string, string | undefined>>,
): Promise<FoundCredentials> {
  const keys = repositoryKeys({ registry, path })
  const notes: string[] = []
  for (const file of credentialFilePaths(env)) {
    try {
      const content = await readCredentialFile(file)
      const credentials = content && (await fromFile(content, { keys, registry, env, notes }))
      if (credentials !== undefined) return { credentials, notes }
    } catch (error) {
      notes.push(printable(error instanceof Error ? error.message : String(error)))
    }
  }
  return { credentials: undefined, notes }
}

interface Search {
  readonly keys: readonly string[]
  readonly registry: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly notes: string[]
}

async function fromFile(
  { helpers, store, entries }: CredentialFile,
  { keys, registry, env, notes }: Search,
): Promise<Credentials | undefined> {
  const helper = mostSpecific(helpers, keys) ?? store
  if (helper !== undefined) {
    const answer = await askCredentialHelper(helper, { server: serverUrl(registry), env })
    if (answer.note !== undefined) notes.push(answer.note)
    if (answer.credentials !== undefined) return answer.credentials
  }
  return mostSpecific(entries, keys)
}

/** What a credential helper calls a registry. */
function serverUrl(registry: string): string {
  return registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry
}
