import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { firstLine, killScript, startScript } from '../../../test/support/node-script.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout, type Problem } from '../../base/index.ts'
import { sourceOf } from './failed-attempts.ts'
import { openTokens } from './tokens.ts'

afterEach(() => void vi.useRealTimers())

describe('tokens', () => {
  test('are known to the next daemon too, and at rest there is only their hash', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const made = await (await openTokens({ layout })).create({ name: 'laptop', readOnly: true })
    expect(made.token).toMatch(/^cowshed_[0-9a-f]{12}_[\w-]{43}$/)
    const record = await readFile(layout.token(made.id), 'utf8')
    expect(record).not.toContain(made.token.slice(-43))
    expect((await stat(layout.token(made.id))).mode & 0o777).toBe(0o600)
    expect((await stat(layout.tokens)).mode & 0o777).toBe(0o700)

    const next = await openTokens({ layout })
    expect(next.list()).toEqual([{ id: made.id, name: 'laptop', read_only: true, created_at: made.created_at }])
    expect(next.check(made.token)).toMatchObject({ name: 'laptop', readOnly: true })
    await next.revoke(made.id)
    expect(next.check(made.token)).toBeUndefined()
    expect((await openTokens({ layout })).count).toBe(0)
  })

  test('have names of their own', async () => {
    await using dir = await temporaryDirectory()
    const tokens = await openTokens({ layout: dataLayout(dir.path) })
    const both = await Promise.allSettled([1, 2].map(() => tokens.create({ name: 'ci', readOnly: false })))
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(both[1]).toMatchObject({ reason: { code: 'TOKEN_ALREADY_EXISTS' } })
    const { id, name } = await tokens.create({ readOnly: false })
    expect(name).toBe(id)
    await expect(tokens.revoke('nobody')).rejects.toMatchObject({ code: 'TOKEN_NOT_FOUND' })
  })

  test('are seen to be used, to the minute, and that is written down now and then and at the end', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2024-05-05T10:00:00Z') })
    const tokens = await openTokens({ layout })
    const { token, id } = await tokens.create({ name: 'ci', readOnly: false })
    const lastUsed = () => tokens.list()[0]?.last_used_at
    const written = async () =>
      (JSON.parse(await readFile(layout.token(id), 'utf8')) as { last_used_at?: string }).last_used_at
    tokens.check(token)
    await expect.poll(written).toBe('2024-05-05T10:00:00.000Z')
    vi.setSystemTime(Date.parse('2024-05-05T10:00:59Z'))
    tokens.check(token)
    expect(lastUsed()).toBe('2024-05-05T10:00:00.000Z')
    vi.setSystemTime(Date.parse('2024-05-05T10:05:00Z'))
    tokens.check(token)
    tokens.check(`${token.slice(0, -1)}!`)
    expect([lastUsed(), await written()]).toEqual(['2024-05-05T10:05:00.000Z', '2024-05-05T10:00:00.000Z'])
    await tokens.close()
    expect(await written()).toBe('2024-05-05T10:05:00.000Z')
  })

  test('one that is revoked while its last use is to be written down does not come back', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const tokens = await openTokens({ layout })
    const { token } = await tokens.create({ name: 'ci', readOnly: false })
    const revoked = tokens.revoke('ci')
    tokens.check(token)
    await Promise.all([revoked, tokens.close()])
    expect(await readdir(layout.tokens)).toEqual([])
  })

  test('a record that is damaged, or another’s under its name, lets nobody in, and the others are as before', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    const first = await openTokens({ layout })
    const [good, torn, moved] = await Promise.all(
      ['good', 'torn', 'moved'].map((name) => first.create({ name, readOnly: false })),
    )
    if (good === undefined || torn === undefined || moved === undefined) throw new Error('three were made')
    await writeFile(layout.token(torn.id), '{"id": "')
    await writeFile(layout.token('000000000000'), await readFile(layout.token(good.id)))
    await writeFile(
      layout.token(moved.id),
      (await readFile(layout.token(moved.id), 'utf8')).replace(/"sha256": "../, '"sha256": "'),
    )
    const broken: Problem[] = []
    const tokens = await openTokens({ layout, onBroken: (problem) => broken.push(problem) })
    expect(tokens.list().map(({ name }) => name)).toEqual(['good'])
    expect(broken.map(({ code }) => code)).toEqual(['RECORD_INVALID', 'RECORD_INVALID'])
    expect([torn, moved, good].map(({ token }) => tokens.check(token)?.name)).toEqual([undefined, undefined, 'good'])
  })

  test('kill -9 while they are made and revoked leaves whole records of exactly those that were not revoked', async () => {
    await using dir = await temporaryDirectory()
    const layout = dataLayout(dir.path)
    await mkdir(layout.tokens)
    await writeFile(join(layout.tokens, '.x.json.1.tmp'), 'half')
    const child = await startScript(new URL('./create-tokens.testkit.ts', import.meta.url), [dir.path])
    const first = await firstLine(child)
    await sleep(50 + Math.random() * 50)
    await killScript(child)
    const broken: Problem[] = []
    const tokens = await openTokens({ layout, onBroken: (problem) => broken.push(problem) })
    expect(broken).toEqual([])
    expect(tokens.check(first)).toBeDefined()
    // The first two stay; at the kill a third may have been made or revoked, or another half made.
    expect([2, 3]).toContain(tokens.count)
    expect((await readdir(layout.tokens)).every((name) => /^[0-9a-f]{12}\.json$/.test(name))).toBe(true)
  })
})

test.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
])('an attempt from %s counts for %s', (address, source) => {
  expect(sourceOf(address)).toBe(source)
})
