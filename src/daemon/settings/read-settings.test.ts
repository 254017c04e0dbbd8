import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { readSettings } from './read-settings.ts'
import { Settings } from './settings.ts'

describe('config.toml', () => {
  test('that is not there, or empty, sets nothing', async () => {
    await using dir = await temporaryDirectory()
    const path = join(dir.path, 'config.toml')
    expect(await readSettings(path)).toEqual(Settings.parse({}))
    await writeFile(path, '')
    expect(await readSettings(path)).toEqual(Settings.parse({}))
  })

  test('sets what it says', async () => {
    const settings = await settingsOf(`
      [registries."registry.example:5000"]
      plain_http = true
      mirrors = ["mirror.example/cache"]`)
    expect(settings.registries).toEqual({
      'registry.example:5000': { plain_http: true, mirrors: ['mirror.example/cache'] },
    })
  })

  test.each([
    ['registries = ', 'line 1'],
    ['colour = "red"', 'colour'],
    ['cache.max_used = "much"', 'cache.max_used'],
    ['cache.keep_free = 5', 'cache.keep_free'],
    ['prune.scopes = ["everything"]', 'prune.scopes'],
    ['prune.until = "long"', 'prune.until'],
    ['[registries."a.example"]\nca = "relative.pem"', 'registries.a.example.ca'],
    ['[registries."a.example"]\nplain_http = "yes"', 'registries.a.example.plain_http'],
  ])('%j is refused, naming what is wrong', async (text, names) => {
    const refusal = await settingsOf(text).then(
      () => undefined,
      (error: unknown) => error as Error,
    )
    expect(refusal).toMatchObject({ code: 'SETTINGS_INVALID' })
    expect(refusal?.message).toContain(names)
  })
})

test('docs/configuration.md lists every setting, and no other', () => {
  const document = readFileSync(join(import.meta.dirname, '../../../docs/configuration.md'), 'utf8')
  const documented = [...document.matchAll(/^\| `([^`]+)` \|/gm)].map(([, key]) => key)
  expect(documented.sort()).toEqual(keysOf(z.toJSONSchema(Settings, { io: 'input' }) as Schema).sort())
})

async function settingsOf(text: string): Promise<Settings> {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'config.toml')
  await writeFile(path, text)
  return await readSettings(path)
}

interface Schema {
  readonly properties?: Record<string, Schema> | undefined
  readonly additionalProperties?: Schema | false | undefined
}

/** Leaves as dotted keys; `*` stands for a name of the user's. */
function keysOf(schema: Schema, prefix = ''): string[] {
  const members = Object.entries(schema.properties ?? {})
  if (typeof schema.additionalProperties === 'object') members.push(['*', schema.additionalProperties])
  if (members.length === 0) return [prefix]
  return members.flatMap(([name, member]) => keysOf(member, prefix === '' ? name : `${prefix}.${name}`))
}
