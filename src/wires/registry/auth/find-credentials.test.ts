import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../../../../test/support/temporary-directory.ts'
import { isProblem } from '../../../base/index.ts'
import { parseCredentialFile } from './credential-file.ts'
import { findCredentials } from './find-credentials.ts'

const auth = (user: string) => Buffer.from(`${user}:secret of ${user}`).toString('base64')
const nameOf = (key: string) => key.replaceAll(':', '_')
const password = (user: string) => ({ kind: 'password', username: user, password: `secret of ${user}` })
const app = { registry: 'registry.example', path: 'team/app' }

describe('credentials are found', () => {
  test('in the first file that has some, in the order of docker and podman', async () => {
    await using home = await userHome()
    const places = {
      docker: home.put('docker/config.json', { auths: { 'registry.example': { auth: auth('docker') } } }),
      named: home.put('named.json', { auths: { 'registry.example': { auth: auth('named') } } }),
      run: home.put('run/containers/auth.json', { auths: { 'registry.example': { auth: auth('run') } } }),
      config: home.put('.config/containers/auth.json', { auths: { 'registry.example': { auth: auth('config') } } }),
    }
    await Promise.all(Object.values(places))
    const env = {
      DOCKER_CONFIG: home.path('docker'),
      REGISTRY_AUTH_FILE: home.path('named.json'),
      XDG_RUNTIME_DIR: home.path('run'),
      HOME: home.path(''),
    }
    const found = async (left: Partial<typeof env>) => (await findCredentials(app, left)).credentials
    expect(await found(env)).toEqual(password('docker'))
    expect(await found({ ...env, DOCKER_CONFIG: home.path('nothing') })).toEqual(password('named'))
    expect(await found({ XDG_RUNTIME_DIR: env.XDG_RUNTIME_DIR, HOME: env.HOME })).toEqual(password('run'))
    expect(await found({ HOME: env.HOME })).toEqual(password('config'))
    expect(await found({})).toBeUndefined()
    await home.put('.docker/config.json', { auths: { 'registry.example': { auth: auth('default') } } })
    expect(await found({ HOME: env.HOME })).toEqual(password('default'))
  })

  test.each([
    ['registry.example/team/app', 'registry.example/team', 'registry.example'],
    ['registry.example/team', 'registry.example'],
    ['https://registry.example/v2/'],
    ['REGISTRY.example'],
  ])('under the most specific of %s', async (...keys) => {
    const others = ['registry.example/team/application', 'registry.example/tea', 'registry.example:5000', 'example']
    const auths = Object.fromEntries(
      [...others, ...keys.slice().reverse()].map((key) => [key, { auth: auth(nameOf(key)) }]),
    )
    await using home = await userHome()
    await home.put('.docker/config.json', { auths })
    expect((await findCredentials(app, home.env)).credentials).toEqual(password(nameOf(keys[0] ?? '')))
  })

  test.each(['https://index.docker.io/v1/', 'docker.io', 'index.docker.io', 'registry-1.docker.io'])(
    'for Docker Hub under %s',
    async (key) => {
      await using home = await userHome()
      await home.put('.docker/config.json', { auths: { [key]: { auth: auth('hub') } } })
      const { credentials } = await findCredentials({ registry: 'docker.io', path: 'library/debian' }, home.env)
      expect(credentials).toEqual(password('hub'))
    },
  )

  test.each([
    [
      { auth: Buffer.from('me:with:colons\0\0').toString('base64') },
      { kind: 'password', username: 'me', password: 'with:colons' },
    ],
    [
      { username: 'me', password: 'pw' },
      { kind: 'password', username: 'me', password: 'pw' },
    ],
    [
      { auth: auth('me'), identitytoken: 'identity' },
      { kind: 'identity-token', token: 'identity' },
    ],
    [{ registrytoken: 'bearer' }, { kind: 'registry-token', token: 'bearer' }],
    [{}, undefined],
    [null, undefined],
    [{ auth: '!!!' }, undefined],
  ])('in the form of %j', async (entry, expected) => {
    await using home = await userHome()
    await home.put('.docker/config.json', { auths: { 'registry.example': entry } })
    expect((await findCredentials(app, home.env)).credentials).toEqual(expected)
  })
})

describe('helpers', () => {
  test('come before what is in the file, that of the registry before that of all', async () => {
    await using home = await userHome()
    await home.helper('own', `read server; echo '{"ServerURL":"","Username":"own","Secret":"'"$server"'"}'`)
    await home.helper('all', `echo '{"Username":"<token>","Secret":"identity"}'`)
    const auths = { 'registry.example': { auth: auth('file') } }
    const credHelpers = { 'registry.example': 'own' }
    await home.put('.docker/config.json', { auths, credsStore: 'all', credHelpers })
    expect((await findCredentials(app, home.env)).credentials).toEqual({
      kind: 'password',
      username: 'own',
      password: 'registry.example',
    })
    const other = await findCredentials({ registry: 'docker.io', path: 'library/debian' }, home.env)
    expect(other.credentials).toEqual({ kind: 'identity-token', token: 'identity' })
  })

  test('that know nothing leave it to the file', async () => {
    await using home = await userHome()
    await home.helper('none', 'echo "credentials not found in native keychain"; exit 1')
    await home.put('.docker/config.json', { auths: { 'registry.example': { auth: auth('file') } }, credsStore: 'none' })
    expect(await findCredentials(app, home.env)).toEqual({ credentials: password('file'), notes: [] })
  })

  test.each([
    ['absent', undefined, 'docker-credential-absent is not installed'],
    ['broken', 'echo no keychain; exit 1', 'docker-credential-broken failed: no keychain'],
    ['leaky', `echo '{"Username":"u","Secret":"hush"}'; exit 1`, 'docker-credential-leaky failed'],
    ['killed', `echo hush; exit 7`, 'docker-credential-killed failed'],
    ['odd', 'echo "hush"', 'docker-credential-odd did not answer in JSON'],
    ['../../bin/sh', undefined, 'a credential helper has a name that no helper can have'],
  ])('%s: a note, and no secret in it', async (name, script, note) => {
    await using home = await userHome()
    if (script !== undefined) await home.helper(name, script)
    await home.put('.docker/config.json', { credsStore: name })
    expect(await findCredentials(app, home.env)).toEqual({ credentials: undefined, notes: [note] })
  })
})

describe('a file that cannot be used', () => {
  test('is a note that has nothing of what is in it; the next one counts', async () => {
    await using home = await userHome()
    await mkdir(home.path('.docker'), { recursive: true })
    await writeFile(home.path('.docker/config.json'), '{"auths": {"registry.example": {"auth": hush')
    await home.put('.config/containers/auth.json', { auths: { 'registry.example': { auth: auth('next') } } })
    const { credentials, notes } = await findCredentials(app, home.env)
    expect(credentials).toEqual(password('next'))
    expect(notes).toHaveLength(1)
    expect(notes[0]).toContain('.docker/config.json')
    expect(notes[0]).not.toContain('hush')
  })

  test('of any JSON gives credentials or a Problem', () => {
    const entry = fc.oneof(
      fc.record({ auth: fc.string(), username: fc.string() }, { requiredKeys: [] }),
      fc.jsonValue(),
    )
    const file = fc.record(
      { auths: fc.dictionary(fc.string(), entry), credsStore: fc.jsonValue() },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(file, fc.jsonValue()), (value) => {
        try {
          for (const credentials of parseCredentialFile(JSON.stringify(value), 'f').entries.values()) {
            expect(['password', 'identity-token', 'registry-token']).toContain(credentials.kind)
          }
        } catch (error) {
          expect(isProblem(error, 'SETTINGS_INVALID')).toBe(true)
        }
      }),
    )
  })
})

async function userHome() {
  const directory = await temporaryDirectory()
  const path = (name: string) => join(directory.path, name)
  return {
    path,
    env: { HOME: directory.path, PATH: `${path('bin')}:${process.env.PATH}` },
    async put(name: string, content: object) {
      await mkdir(dirname(path(name)), { recursive: true })
      await writeFile(path(name), JSON.stringify(content))
    },
    async helper(name: string, script: string) {
      await mkdir(path('bin'), { recursive: true })
      await writeFile(path(`bin/docker-credential-${name}`), `#!/bin/sh\n${script}\n`)
      await chmod(path(`bin/docker-credential-${name}`), 0o755)
    },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}
