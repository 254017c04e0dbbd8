import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runTool } from '../../src/host/index.ts'

export interface IssuedCertificate {
  readonly cert: string
  readonly key: string
}

export interface TestAuthority extends AsyncDisposable {
  readonly directory: string
  /** Its own certificate: what clients trust. */
  readonly ca: string
  /** A certificate for 127.0.0.1 and localhost, valid from yesterday for so many days: 0 has expired. */
  issue(name: string, options?: { readonly days?: number }): Promise<IssuedCertificate>
}

/** A certificate authority of openssl's, in a directory of its own. */
export async function testAuthority(): Promise<TestAuthority> {
  const directory = await mkdtemp(join(tmpdir(), 'cowshed-ca-'))
  const at = (name: string) => join(directory, name)
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await runTool('openssl', [
    'req',
    '-x509',
    ...ec,
    '-keyout',
    at('ca.key'),
    '-subj',
    '/CN=test authority',
    '-out',
    at('ca.pem'),
  ])
  return {
    directory,
    ca: at('ca.pem'),
    async issue(name, { days = 30 } = {}) {
      const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((ending) =>
        at(`${name}.${ending}`),
      ) as [string, string, string, string]
      await writeFile(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
      await runTool('openssl', ['req', ...ec, '-keyout', key, '-subj', `/CN=${name}`, '-out', request])
      const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-extfile', extensions]
      await runTool('openssl', ['x509', '-req', '-in', request, ...signed, '-days', `${days}`, '-out', cert])
      return { cert, key }
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}
