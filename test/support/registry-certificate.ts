import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from '../../src/host/index.ts'

/** A certificate that vouches for itself, for 127.0.0.1, localhost and registry.test. */
export interface Certificate {
  readonly certificatePath: string
  readonly keyPath: string
  readonly pem: string
  readonly der: Buffer
  readonly keyPem: string
  readonly key: KeyObject
}

export async function issueCertificate(directory: string, name = 'registry'): Promise<Certificate> {
  const certificatePath = join(directory, `${name}-certificate.pem`)
  const keyPath = join(directory, `${name}-key.pem`)
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test'
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyPath]
  await runTool('openssl', ['req', '-x509', ...key, '-subj', `/CN=${name}`, '-addext', names, '-out', certificatePath])
  const [pem, keyPem] = await Promise.all([readFile(certificatePath, 'utf8'), readFile(keyPath, 'utf8')])
  return { certificatePath, keyPath, pem, keyPem, der: new X509Certificate(pem).raw, key: createPrivateKey(keyPem) }
}
