import { Problem } from '../../base/index.ts'
import type { SecretUse } from '../../contract/index.ts'
import type { ShedsContext } from '../context.ts'
import type { ShedRecord } from '../records/shed-record.ts'

/**
 * Whether all of these can be given to a shed.
 *
 * @throws Problem SECRET_NOT_FOUND, RECORD_INVALID, PERMISSION_DENIED; INVALID_REQUEST for a variable whose value is no text
 */
export async function checkSecrets(context: ShedsContext, uses: readonly SecretUse[]): Promise<void> {
  for (const { secret, env } of uses) {
    const value = await context.secrets.value(secret)
    if (env !== undefined) textOf(secret, value)
  }
}

/** What a shed is given as variables of its environment, as it is now. @throws Problem as checkSecrets does */
export async function secretEnvironment(
  { secrets }: ShedsContext,
  record: ShedRecord,
): Promise<Record<string, string>> {
  const pairs = record.secrets.map(async ({ secret, env }) =>
    env === undefined ? [] : [[env, textOf(secret, await secrets.value(secret))] as const],
  )
  return Object.fromEntries((await Promise.all(pairs)).flat())
}

/** Without the newline at its end that editors and echo leave there, as $(cat FILE) of a shell has it. */
function textOf(name: string, value: Buffer): string {
  const text = value.toString('utf8')
  if (text.includes('\0') || !Buffer.from(text).equals(value)) throw noText(name)
  return text.replace(/\r?\n$/, '')
}

function noText(name: string): Problem {
  return new Problem('INVALID_REQUEST', `the secret ${name} is not text, so it cannot be a variable`, {
    hint: `give it as a file: --secret ${name}:/path`,
  })
}
