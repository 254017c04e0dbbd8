import { errnoCode, Problem } from '../../base/index.ts'
import type { RemoteServer } from '../servers/server-record.ts'

/** Why there is no conversation with a server, and what to type. @see https://nodejs.org/api/tls.html#x509-certificate-error-codes */
export function explainNetworkError(error: Error, server: RemoteServer): Problem {
  const { message, hint } = explained(error, server)
  return new Problem('SERVER_UNREACHABLE', message, { hint, cause: error })
}

interface Explained {
  readonly message: string
  readonly hint: string
}

function explained(error: Error, server: RemoteServer): Explained {
  const { name, url, ca } = server
  const where = name === url ? name : `${name} (${url})`
  const code = errnoCode(error) ?? ''
  if (untrusted.has(code)) {
    return ca === undefined
      ? {
          message: `nobody who is trusted here vouches for the certificate of ${where}`,
          hint: addAgain(server, '--ca FILE'),
        }
      : {
          message: `the certificate of ${where} is not from the authority that was given for it`,
          hint: addAgain(server, '--ca FILE'),
        }
  }
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return {
        message: `the certificate of ${where}, or of its authority, has expired`,
        hint: 'renew it there; kill -HUP makes its daemon read it again',
      }
    case 'CERT_NOT_YET_VALID':
      return { message: `the certificate of ${where} is not valid yet`, hint: 'look at the clocks of both: date' }
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        message: `the certificate of ${where} is for another name: ${namesOf(error)}`,
        hint: `add it by a name that its certificate has: cowshed server add ${name} https://…`,
      }
    case 'ECONNREFUSED':
      return {
        message: `nobody listens at ${where}`,
        hint: 'look there: cowshed token ls; cowshed serve --listen HOST:PORT',
      }
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return {
        message: `there is no host ${new URL(url).hostname} (${where})`,
        hint: 'look at the address: cowshed server ls',
      }
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return {
        message: `${where} cannot be reached: ${error.message}`,
        hint: 'see whether it is up, and what lies between',
      }
    case 'EPROTO':
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
      return {
        message: `${where} speaks no TLS`,
        hint: `if that is as it should be: cowshed server add ${name} http://…`,
      }
    case 'HPE_INVALID_CONSTANT':
      return { message: `${where} speaks something else than HTTP`, hint: 'perhaps TLS: https:// instead of http://' }
    default:
      return { message: `lost ${where}: ${error.message}`, hint: `see whether it answers: cowshed -s ${name} version` }
  }
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
])

function addAgain({ name, url }: RemoteServer, option: string): string {
  return name === url
    ? 'name the file of its authority: COWSHED_CA=FILE'
    : `add it again with the certificate of its authority: cowshed server add ${name} ${url} ${option} --token-stdin`
}

function namesOf(error: Error): string {
  const { cert } = error as { cert?: { subjectaltname?: string } }
  return cert?.subjectaltname ?? 'it names none'
}
