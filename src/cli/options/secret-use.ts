import { Problem, parseName } from '../../base/index.ts'
import { environmentName, guestFilePath, type SecretUse } from '../../contract/index.ts'

/** Parses `NAME`, a variable called like it; `NAME:VARIABLE`; or `NAME:/path`, a file. */
export function secretUse(text: string): SecretUse {
  const colon = text.indexOf(':')
  const secret = parseName(colon < 0 ? text : text.slice(0, colon), 'name of a secret')
  const as = colon < 0 ? secret.toUpperCase().replaceAll('-', '_') : text.slice(colon + 1)
  if (guestFilePath.test(as)) return { secret, path: as }
  if (environmentName.test(as)) return { secret, env: as }
  throw new Problem('INVALID_REQUEST', `${JSON.stringify(text)} is not NAME, NAME:VARIABLE or NAME:/path`, {
    hint: `say as what it is to be given: ${secret}:VARIABLE, or ${secret}:/run/secrets/${secret}`,
  })
}

/** Of an option that may be repeated. */
export function collectSecrets(text: string, previous: readonly SecretUse[] = []): SecretUse[] {
  return [...previous, secretUse(text)]
}
