import { isAbsolute, normalize } from 'node:path'
import { Problem } from '../../base/index.ts'
import { openS3Bucket, type S3Options } from '../../wires/index.ts'
import { DirectoryTarget } from './directory-target.ts'
import { type CredentialSources, s3Credentials } from './s3-credentials.ts'
import { S3Target } from './s3-target.ts'
import type { BackupTarget } from './target.ts'

/** What config.toml says of a bucket, or of all that it does not name. */
export interface S3Settings {
  readonly endpoint?: string | undefined
  readonly region?: string | undefined
  readonly virtual_host?: boolean | undefined
  readonly access_key_id?: string | undefined
  readonly secret_access_key?: string | undefined
  /** Of the files of the AWS tools. */
  readonly profile?: string | undefined
}

export interface TargetSettings extends CredentialSources {
  /** By bucket; `*` is for every other. */
  readonly s3: Readonly<Record<string, S3Settings>>
  readonly patience?: S3Options['patience']
}

/**
 * Opens the place that a URL names: `/absolute/path`, `file:///absolute/path` or `s3://bucket/prefix`. Nothing is read or written yet.
 *
 * @throws Problem INVALID_REQUEST
 */
export function openTarget(url: string, settings: TargetSettings): BackupTarget {
  if (url.startsWith('s3:')) return openS3Target(url, settings)
  const path = url.startsWith('file://') ? pathOf(url) : url
  if (!isAbsolute(path) || path.includes('\0')) throw notATarget(url)
  return new DirectoryTarget(normalize(path).replace(/(?<=.)\/$/, ''))
}

function openS3Target(url: string, settings: TargetSettings): S3Target {
  const [, bucket, path = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w.\-/]*))?$/.exec(url) ?? []
  if (bucket === undefined) throw notATarget(url)
  const trimmed = path.split('/').filter((part) => part !== '')
  if (trimmed.some((part) => part === '.' || part === '..')) throw notATarget(url)
  const own = settings.s3[bucket] ?? settings.s3['*'] ?? {}
  const { env } = settings
  const endpoint = own.endpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL
  return new S3Target({
    url: ['s3:/', bucket, ...trimmed].join('/'),
    prefix: trimmed.map((part) => `${part}/`).join(''),
    bucket: openS3Bucket({
      endpoint,
      region: own.region ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1',
      bucket,
      // A name with a dot fits no certificate of hosts below the store's; stores of one's own rarely have names for buckets.
      pathStyle: !(own.virtual_host ?? (endpoint === undefined && !bucket.includes('.'))),
      credentials: () => s3Credentials(own, settings),
      patience: settings.patience,
    }),
  })
}

function pathOf(url: string): string {
  try {
    const parsed = new URL(url)
    return parsed.host === '' ? decodeURIComponent(parsed.pathname) : ''
  } catch {
    return ''
  }
}

/** Somebody may have put credentials into it: it is not repeated. */
function notATarget(url: string): Problem {
  const shown = /[@:].*@/.test(url) ? '' : `: ${JSON.stringify(url.slice(0, 200))}`
  return new Problem('INVALID_REQUEST', `not a place for backups${shown}`, {
    hint: 'write /ABSOLUTE/PATH on the host of the daemon, or s3://BUCKET/PREFIX; credentials have places of their own: docs/backups.md',
  })
}
