import { isProblem, Problem } from '../../base/index.ts'
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

/** Whether all that a shed is given already is still there. @throws Problem as checkSecrets does, with how it can do without */
export async function checkGiven(context: ShedsContext, { name, secrets }: ShedRecord): Promise<void> {
  for (const use of secrets) await orTake(checkSecrets(context, [use]), name, use.secret)
}

/** What a shed is given as variables of its environment, as it is now. @throws Problem as checkGiven does */
export async function secretEnvironment(
  { secrets }: ShedsContext,
  record: ShedRecord,
): Promise<Record<string, string>> {
  const pairs = record.secrets.map(async ({ secret, env }) =>
    env === undefined ? [] : [[env, textOf(secret, await orTake(secrets.value(secret), record.name, secret))] as const],
  )
  return Object.fromEntries((await Promise.all(pairs)).flat())
}

async function orTake<T>(value: Promise<T>, shed: string, secret: string): Promise<T> {
  try {
    return await value
  } catch (error) {
    if (!isProblem(error, 'SECRET_NOT_FOUND')) throw error
    throw new Problem(error.code, `there is no secret ${secret}, which ${shed} is given`, {
      hint: `${error.hint}; or have it do without: cowshed secret take ${shed} ${secret}`,
      cause: error,
    })
  }
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
