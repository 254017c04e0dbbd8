import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { localTarget } from '../backups.testkit.ts'
import { openRepository } from '../repository/open-repository.ts'
import { formatBackupKey, newBackupKey, parseBackupKey } from './backup-key.ts'
import { openKeyRing } from './key-ring.ts'

test('a key comes back from its text, and not from one with a typing error', () => {
  const key = newBackupKey()
  const text = formatBackupKey(key)
  expect(parseBackupKey(`  ${text}\n`)).toEqual(key)
  const typed = fc.property(fc.nat(text.length - 1), fc.constantFrom(...'0123456789abcdefx: '), (at, character) => {
    const other = text.slice(0, at) + character + text.slice(at + 1)
    if (other === text) return
    let message = ''
    try {
      parseBackupKey(other)
    } catch (error) {
      message = String(error)
    }
    expect(message).toMatch(/not a backup key/)
    expect(message).not.toContain(other.slice(25, 45))
  })
  fc.assert(typed)
})

describe('a key ring', () => {
  test('makes one key of its own, in a file that others cannot read, whoever asks at once', async () => {
    await using directory = await temporaryDirectory()
    const layout = dataLayout(directory.path)
    const keys = await Promise.all([1, 2, 3].map(() => openKeyRing(layout).own()))
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1)
    expect((await stat(layout.backupKeys)).mode & 0o777).toBe(0o700)
    expect((await stat(layout.backupKey(keys[0]?.id ?? ''))).mode & 0o777).toBe(0o600)
    expect(await openKeyRing(layout).own()).toEqual(keys[0])
  })

  test('makes no second key while the first cannot be read: backups would be lost with it', async () => {
    await using directory = await temporaryDirectory()
    const layout = dataLayout(directory.path)
    const { id } = await openKeyRing(layout).own()
    await chmod(layout.backupKey(id), 0o600)
    await writeFile(layout.backupKey(id), '{')
    await expect(openKeyRing(layout).own()).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    expect((await readdir(layout.backupKeys)).filter((name) => name.endsWith('.json'))).toHaveLength(1)
  })

  test('opens what another host has sealed when it has that key too, and goes on sealing with its own', async () => {
    await using directory = await temporaryDirectory()
    const [one, two] = ['one', 'two'].map((name) => openKeyRing(dataLayout(`${directory.path}/${name}`)))
    if (one === undefined || two === undefined) throw new Error('two hosts')
    const target = localTarget(`${directory.path}/repository`)
    await openRepository({ target, keyRing: one, create: true })
    const own = await two.own()
    await expect(openRepository({ target, keyRing: two })).rejects.toMatchObject({ code: 'BACKUP_KEY_NOT_FOUND' })
    const imported = await two.import(formatBackupKey(await one.own()))
    expect((await openRepository({ target, keyRing: two })).keys.keyId).toBe(imported.id)
    expect(await two.own()).toEqual(own)
    expect(await readFile(`${directory.path}/repository/cowshed-backups.json`, 'utf8')).not.toContain(
      formatBackupKey(imported).split(':')[1],
    )
  })

  test('opens no place that is none, or of another kind', async () => {
    await using directory = await temporaryDirectory()
    const keyRing = openKeyRing(dataLayout(directory.path))
    const target = localTarget(`${directory.path}/repository`)
    await expect(openRepository({ target, keyRing })).rejects.toMatchObject({ code: 'BACKUP_REPOSITORY_NOT_FOUND' })
    for (const text of [
      '',
      '{}',
      '{"format":"cowshed-backups","version":2,"key":"00112233445566778899aabbccddeeff"}',
    ]) {
      await target.put('cowshed-backups.json', Buffer.from(text))
      await expect(openRepository({ target, keyRing, create: true })).rejects.toMatchObject({
        code: 'BACKUP_REPOSITORY_INVALID',
      })
    }
  })
})
