import { chmod, copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { dataLayout } from '../../base/index.ts'
import { longestSecret, openSecrets } from './open-secrets.ts'
import { seal, unseal } from './seal.ts'

const key = Buffer.alloc(32, 7)

test('what is sealed opens with the same key and name, and with nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, change) => {
      const value = Buffer.from(bytes)
      const sealed = seal(value, { key, name: 'a' })
      expect(unseal(sealed, { key, name: 'a' }).equals(value)).toBe(true)
      for (const part of ['nonce', 'ciphertext', 'tag'] as const) {
        const changed = Buffer.from(sealed[part], 'base64')
        if (changed.length === 0) continue
        changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ change
        expect(() => unseal({ ...sealed, [part]: changed.toString('base64') }, { key, name: 'a' })).toThrow(
          expect.objectContaining({ code: 'RECORD_INVALID' }),
        )
      }
      const others = [
        { key, name: 'b' },
        { key: Buffer.alloc(32, 8), name: 'a' },
      ]
      for (const other of others) expect(() => unseal(sealed, other)).toThrow('cannot be read')
      expect(() => unseal({ ...sealed, tag: sealed.tag.slice(0, 8) }, { key, name: 'a' })).toThrow('cannot be read')
    }),
  )
  expect(seal(Buffer.from('x'), { key, name: 'a' }).nonce).not.toBe(seal(Buffer.from('x'), { key, name: 'a' }).nonce)
})

test('a secret is set, set again, listed without its value, and removed; on disk nobody reads it', async () => {
  await using dir = await temporaryDirectory()
  const layout = dataLayout(dir.path)
  const secrets = openSecrets(layout)
  const value = Buffer.from('\0hunter2-\xff\n', 'latin1')
  expect(await secrets.set('api-key', Buffer.from('first'))).toBe('created')
  expect(await secrets.set('api-key', value)).toBe('changed')
  expect((await secrets.value('api-key')).equals(value)).toBe(true)
  expect(Object.keys((await secrets.list())[0] ?? {})).toEqual(['name', 'createdAt', 'changedAt'])
  for (const file of await readdir(layout.secrets)) {
    const path = join(layout.secrets, file)
    expect((await readFile(path, 'latin1')).includes('hunter2')).toBe(false)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  }
  expect((await stat(layout.secrets)).mode & 0o777).toBe(0o700)
  // Another process has the same key.
  expect((await openSecrets(layout).value('api-key')).equals(value)).toBe(true)
  await secrets.remove('api-key')
  await expect(secrets.value('api-key')).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' })
  await expect(secrets.remove('api-key')).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' })
  expect(await secrets.list()).toEqual([])
})

test('what is wrong with a key or a record is said, and nothing of a value with it', async () => {
  await using dir = await temporaryDirectory()
  const layout = dataLayout(dir.path)
  const secrets = openSecrets(layout)
  await expect(secrets.set('../x', key)).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  await expect(secrets.set('long', Buffer.alloc(longestSecret + 1))).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  await expect(secrets.value('../x')).rejects.toMatchObject({ code: 'SECRET_NOT_FOUND' })
  for (const name of ['a', 'b']) await secrets.set(name, Buffer.from(`value of ${name}`))
  await copyFile(layout.secret('a'), layout.secret('b'))
  await expect(secrets.value('b')).rejects.toMatchObject({ code: 'RECORD_INVALID' })
  await writeFile(layout.secret('b'), 'torn')
  expect((await secrets.list()).map(({ name }) => name)).toEqual(['a', 'b'])
  await secrets.set('b', Buffer.from('again'))
  await chmod(layout.secretKey, 0o644)
  await expect(secrets.value('a')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
  await rm(layout.secretKey)
  await expect(secrets.value('a')).rejects.toMatchObject({ code: 'RECORD_INVALID' })
  await writeFile(layout.secretKey, 'short', { mode: 0o600 })
  await expect(secrets.set('c', key)).rejects.toMatchObject({ code: 'RECORD_INVALID' })
  await mkdir(join(dir.path, 'empty'))
  expect(await openSecrets(dataLayout(join(dir.path, 'empty'))).list()).toEqual([])
})
