import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Problem, problemFromSystem } from '../../base/index.ts'

/** Reads a file of certificates that are to vouch for a server. @throws Problem INVALID_REQUEST, FILE_NOT_FOUND */
export async function readCa(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw problemFromSystem(error, `read ${path}`)
  })
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  try {
    if (certificates.length === 0) throw new Error('it has none')
    for (const certificate of certificates) new X509Certificate(certificate)
  } catch (error) {
    throw new Problem('INVALID_REQUEST', `${path} is no file of certificates in PEM: ${(error as Error).message}`, {
      hint: 'it begins with -----BEGIN CERTIFICATE-----',
      cause: error,
    })
  }
  // Nothing else of the file is kept: a key that stands in it too, for one.
  return `${certificates.join('\n')}\n`
}
