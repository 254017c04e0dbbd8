import { readFile } from 'node:fs/promises'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { Problem, problemFromSystem } from '../../../base/index.ts'

/** Where systems keep the certificates that their administrator trusts. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/**
 * The certificates that vouch for a registry: the system's, and those of `ca`. Made once, since a connection that is given certificates in
 * text parses all of them again.
 *
 * @throws Problem SETTINGS_INVALID when `ca` cannot be used
 */
export async function trustedContext(ca: string | undefined): Promise<SecureContext> {
  const system = (await systemCertificates()) ?? rootCertificates.join('\n')
  if (ca === undefined) return createSecureContext({ ca: system })
  const own = await readCertificates(ca)
  try {
    return createSecureContext({ ca: [system, own] })
  } catch (error) {
    throw unusable(ca, error)
  }
}

async function systemCertificates(): Promise<string | undefined> {
  for (const path of systemBundles) {
    // One that is not there, or not ours to read, vouches for nobody; the next one may.
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text.includes('BEGIN CERTIFICATE')) return text
  }
  return undefined
}

async function readCertificates(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw unusable(path, problemFromSystem(error, `read ${path}`))
  })
  if (!text.includes('BEGIN CERTIFICATE')) throw unusable(path, new Error('no certificate is in it'))
  return text
}

function unusable(path: string, cause: unknown): Problem {
  const why = cause instanceof Error ? cause.message : String(cause)
  return new Problem('SETTINGS_INVALID', `the certificates in ${path} cannot be used: ${why}`, {
    hint: 'registries.*.ca in config.toml names a file of certificates in PEM',
    cause,
  })
}
