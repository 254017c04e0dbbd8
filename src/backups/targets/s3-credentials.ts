import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoCode, Problem, problemFromSystem } from '../../base/index.ts'
import type { S3Credentials } from '../../wires/index.ts'
import { parseIni } from './parse-ini.ts'

/** Where credentials may be. */
export interface CredentialSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Of the user that the daemon runs as. */
  readonly home: string
}

interface Configured {
  readonly access_key_id?: string | undefined
  readonly secret_access_key?: string | undefined
  readonly profile?: string | undefined
}

/**
 * The credentials for a bucket: those of config.toml; else those of the profile that it names; else those of the environment; else those of the profile that
 * the environment names, or of `default`. Files are read anew each time: who renews them need not restart the daemon.
 *
 * @throws Problem BACKUP_TARGET_FAILED when there are none
 */
export async function s3Credentials(configured: Configured, { env, home }: CredentialSources): Promise<S3Credentials> {
  const { access_key_id: accessKeyId, secret_access_key: secretAccessKey, profile } = configured
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { accessKeyId, secretAccessKey }
  const fromEnvironment = profile === undefined ? ofEnvironment(env) : undefined
  const found = fromEnvironment ?? (await ofProfile(profile ?? env.AWS_PROFILE ?? 'default', { env, home }))
  if (found !== undefined) return found
  throw new Problem('BACKUP_TARGET_FAILED', 'the daemon has no credentials for this bucket', {
    hint: 'set s3.<bucket> in config.toml, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the daemon, or write ~/.aws/credentials: docs/backups.md',
  })
}

function ofEnvironment(env: CredentialSources['env']): S3Credentials | undefined {
  return credentials(env.AWS_ACCESS_KEY_ID, env.AWS_SECRET_ACCESS_KEY, env.AWS_SESSION_TOKEN)
}

/** In the credentials file a section has the profile's name; in the config file it is `profile NAME`, but for `default`. */
async function ofProfile(profile: string, { env, home }: CredentialSources): Promise<S3Credentials | undefined> {
  const shared = await readIni(env.AWS_SHARED_CREDENTIALS_FILE ?? join(home, '.aws/credentials'))
  const config = await readIni(env.AWS_CONFIG_FILE ?? join(home, '.aws/config'))
  for (const section of [shared.get(profile), config.get(`profile ${profile}`), config.get(profile)]) {
    const [id, secret, token] = ['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token'].map((key) =>
      section?.get(key),
    )
    const found = credentials(id, secret, token)
    if (found !== undefined) return found
  }
  return undefined
}

function credentials(id?: string, secret?: string, token?: string): S3Credentials | undefined {
  if (!id || !secret) return undefined
  return { accessKeyId: id, secretAccessKey: secret, ...(token ? { sessionToken: token } : {}) }
}

async function readIni(path: string): Promise<ReturnType<typeof parseIni>> {
  try {
    return parseIni(await readFile(path, 'utf8'))
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return new Map()
    throw problemFromSystem(error, `read the credentials in ${path}`)
  }
}
