import { Problem } from '../../base/index.ts'
import { type SecretUse, SecretUses } from '../../contract/index.ts'
import { writeRecord } from '../../state/index.ts'
import type { ShedsContext } from '../context.ts'
import { isDown, type ShedRecord } from '../records/shed-record.ts'
import { checkSecrets } from '../secrets/secret-values.ts'
import { withSecretsInMemory } from '../secrets/secrets-in-memory.ts'

/** Gives a settled shed a secret, inside its transition; given as the same thing twice, the last one counts. @see Sheds.giveSecret */
export async function giveSecret(context: ShedsContext, record: ShedRecord, use: SecretUse): Promise<ShedRecord> {
  await checkSecrets(context, [use])
  const others = record.secrets.filter(({ env, path }) => env !== use.env || path !== use.path)
  const secrets = SecretUses.safeParse([...others, use])
  if (!secrets.success) {
    const why = secrets.error.issues[0]?.message ?? 'it cannot be'
    throw new Problem('INVALID_REQUEST', `${record.name} cannot be given the secret ${use.secret}: ${why}`)
  }
  return await change(context, { ...record, secrets: secrets.data }, { type: 'secret.given', secret: use.secret })
}

/** Takes all that a shed is given of a secret. @see Sheds.takeSecret */
export async function takeSecret(context: ShedsContext, record: ShedRecord, secret: string): Promise<ShedRecord> {
  const secrets = record.secrets.filter((use) => use.secret !== secret)
  if (secrets.length === record.secrets.length) {
    throw new Problem('SECRET_NOT_FOUND', `the shed ${record.name} is not given the secret ${secret}`, {
      hint: `see what it is given: cowshed inspect ${record.name}`,
    })
  }
  // What it had when it ran is in its memory until it boots.
  const had = isDown(record) ? {} : withSecretsInMemory([...new Set([...(record.secrets_in_memory ?? []), secret])])
  return await change(context, { ...record, secrets, ...had }, { type: 'secret.taken', secret })
}

async function change(
  { layout, events }: ShedsContext,
  record: ShedRecord,
  { type, secret }: { readonly type: 'secret.given' | 'secret.taken'; readonly secret: string },
): Promise<ShedRecord> {
  await writeRecord(layout.shed(record.name).record, record)
  const what = type === 'secret.given' ? 'given to' : 'taken from'
  events.append({ type, subject: secret, message: `secret ${secret} is ${what} ${record.name}` })
  return record
}
