import { Problem } from '../../base/index.ts'
import type { Secret } from '../../contract/index.ts'
import type { ShedsContext } from '../context.ts'
import { type LoadedShed, loadAllSheds } from '../records/load-shed.ts'
import type { ShedSecrets } from './shed-secrets.ts'

/** The most of a value that is read at all: what is longer is refused with its length so far. */
const maxBytes = 64 * 1024

export function openShedSecrets(context: ShedsContext): ShedSecrets {
  const { secrets, events } = context
  const tell = (type: string, name: string, what: string) =>
    events.append({ type, subject: name, message: `secret ${name} is ${what}` })
  return {
    async set(name, value) {
      const outcome = await secrets.set(name, await wholeOf(value))
      tell('secret.set', name, outcome)
      return outcome
    },
    async list() {
      const sheds = await loadAllSheds(context)
      return (await secrets.list()).map(({ name, createdAt: created_at, changedAt: changed_at }) => ({
        name,
        created_at,
        changed_at,
        given_to: givenTo(name, sheds),
      }))
    },
    async remove(name, { force }) {
      const users = force ? [] : givenTo(name, await readableSheds(context))
      if (users.length > 0) throw inUse(name, [...new Set(users.map(({ shed }) => shed))])
      await secrets.remove(name)
      tell('secret.removed', name, 'removed')
    },
  }
}

async function readableSheds({ layout }: ShedsContext): Promise<LoadedShed[]> {
  const sheds = await loadAllSheds({ layout })
  for (const { problem } of sheds) if (problem !== undefined) throw problem
  return sheds
}

function givenTo(name: string, sheds: readonly LoadedShed[]): Secret['given_to'] {
  return sheds.flatMap(({ name: shed, record }) =>
    (record?.secrets ?? []).flatMap(({ secret, ...as }) => (secret === name ? [{ shed, ...as }] : [])),
  )
}

async function wholeOf(value: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of value) {
    chunks.push(chunk)
    length += chunk.length
    if (length > maxBytes) break
  }
  return Buffer.concat(chunks)
}

function inUse(name: string, sheds: readonly string[]): Problem {
  const them = sheds.length === 1 ? `the shed ${sheds[0]} is` : `the sheds ${sheds.join(', ')} are`
  return new Problem('SECRET_IN_USE', `${them} given the secret ${name}`, {
    hint: `take it from there first: cowshed secret take ${sheds[0]} ${name}; or remove it all the same with --force`,
    data: { secret: name, sheds: [...sheds] },
  })
}
