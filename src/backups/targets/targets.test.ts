import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { describeBackupTarget } from '../../../test/conformance/backup-target.ts'
import { type S3Server, startS3Server } from '../../../test/support/s3-server.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { localTarget, s3Target } from '../backups.testkit.ts'
import { openTarget } from './open-target.ts'
import { parseIni } from './parse-ini.ts'
import { s3Credentials } from './s3-credentials.ts'

describeBackupTarget('a directory', async () => {
  const directory = await temporaryDirectory()
  const path = join(directory.path, 'not/there/yet')
  return { open: () => localTarget(path), close: () => directory[Symbol.asyncDispose]() }
})

describeBackupTarget('a prefix of an S3 bucket', async () => {
  const server: S3Server = await startS3Server()
  return { open: () => s3Target(server, 'some/where'), close: () => server[Symbol.asyncDispose]() }
})

describe('a directory', () => {
  test('puts nothing in the place of what is there when asked for what is new', async () => {
    await using directory = await temporaryDirectory()
    const target = localTarget(directory.path)
    await target.put('a', Buffer.from('there'))
    expect(await target.putNew('a', Buffer.from('new'))).toBe(false)
    expect(await target.get('a')).toEqual(Buffer.from('there'))
  })

  test('is tidied of what killed writers left behind, not of what is being written', async () => {
    await using directory = await temporaryDirectory()
    const staging = join(directory.path, '.staging')
    await mkdir(staging)
    for (const name of ['old', 'new']) await writeFile(join(staging, name), 'half')
    const longAgo = new Date(Date.now() - 25 * 3600_000)
    await utimes(join(staging, 'old'), longAgo, longAgo)
    const target = localTarget(directory.path)
    await target.tidy()
    expect(await readdir(staging)).toEqual(['new'])
    const seen: string[] = []
    for await (const { name } of target.list('')) seen.push(name)
    expect(seen).toEqual([])
  })
})

test('a place is an absolute path or a bucket, and what may be a secret is not repeated', () => {
  const open = (url: string) => openTarget(url, { s3: {}, env: {}, home: '/nowhere' })
  expect(open('/a/b/').url).toBe('/a/b')
  expect(open('file:///a%20b').url).toBe('/a b')
  expect(open('s3://bucket').url).toBe('s3://bucket')
  expect(open('s3://bucket/a//b/').url).toBe('s3://bucket/a/b')
  const refused = [
    'a/b',
    '',
    's3://',
    's3://B',
    's3://bucket/../x',
    'file://host/a',
    'https://x/y',
    's3://id:SECRET@bucket/x',
  ]
  for (const url of refused) {
    let message = ''
    try {
      open(url)
    } catch (error) {
      message = String(error)
    }
    expect(message, url).toMatch(/not a place for backups/)
    expect(message).not.toContain('SECRET')
  }
})

test('credentials come from config.toml, the environment or the files of the AWS tools, in this order', async () => {
  await using directory = await temporaryDirectory()
  const home = directory.path
  await mkdir(join(home, '.aws'))
  await writeFile(
    join(home, '.aws/credentials'),
    '# mine\n[default]\naws_access_key_id=D\naws_secret_access_key = d=d\n[other]\naws_access_key_id = O\naws_secret_access_key=o\naws_session_token=t\n',
  )
  await writeFile(
    join(home, '.aws/config'),
    '[profile third]\nregion = x\ns3 =\n  a = b\naws_access_key_id = T\naws_secret_access_key = t\n',
  )
  const env = { AWS_ACCESS_KEY_ID: 'E', AWS_SECRET_ACCESS_KEY: 'e' }
  const configured = { access_key_id: 'C', secret_access_key: 'c' }
  const id = async (...args: Parameters<typeof s3Credentials>) => (await s3Credentials(...args)).accessKeyId
  expect(await id(configured, { env, home })).toBe('C')
  expect(await id({}, { env, home })).toBe('E')
  expect(await id({ profile: 'third' }, { env, home })).toBe('T')
  expect(await id({}, { env: { AWS_PROFILE: 'other' }, home })).toBe('O')
  expect(await s3Credentials({}, { env: {}, home })).toEqual({ accessKeyId: 'D', secretAccessKey: 'd=d' })
  expect(await s3Credentials({ profile: 'other' }, { env, home })).toMatchObject({ sessionToken: 't' })
  await expect(s3Credentials({ profile: 'none' }, { env, home })).rejects.toMatchObject({
    code: 'BACKUP_TARGET_FAILED',
  })
  expect([...parseIni('x=1\n[a]\n[broken\n=\ny').keys()]).toEqual(['a'])
})
