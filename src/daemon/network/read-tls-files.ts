import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { Problem, problemFromSystem } from '../../base/index.ts'

export interface TlsFiles {
  /** PEM, with what is between it and the authority after it. */
  readonly cert: string
  readonly key: string
}

export interface TlsIdentity {
  readonly cert: Buffer
  readonly key: Buffer
  readonly validTo: Date
}

/**
 * Reads a certificate and its key, and looks whether they can be used at all: better now than with the first client.
 *
 * @throws Problem SETTINGS_INVALID naming the file
 */
export async function readTlsFiles(files: TlsFiles): Promise<TlsIdentity> {
  const [cert, key] = await Promise.all([read(files.cert), read(files.key)])
  const certificate = parsed(files.cert, 'a certificate in PEM', () => new X509Certificate(cert))
  const privateKey = parsed(files.key, 'a private key in PEM without a passphrase', () => createPrivateKey(key))
  if (!certificate.checkPrivateKey(privateKey)) {
    throw invalid(`${files.key} is not the key of the certificate ${files.cert}`)
  }
  parsed(files.cert, 'usable for TLS', () => createSecureContext({ cert, key }))
  return { cert, key, validTo: new Date(certificate.validTo) }
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw invalid(problemFromSystem(error, `read ${path}`).message, error)
  }
}

function parsed<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw invalid(`${path} is not ${what}: ${error instanceof Error ? error.message : String(error)}`, error)
  }
}

function invalid(message: string, cause?: unknown): Problem {
  return new Problem('SETTINGS_INVALID', message, {
    hint: 'tls.cert and tls.key of config.toml, or --tls-cert and --tls-key, name the two files',
    ...(cause === undefined ? {} : { cause }),
  })
}
