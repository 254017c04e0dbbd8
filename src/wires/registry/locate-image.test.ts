import { expect, test } from 'vitest'
import { parseReference } from '../../formats/index.ts'
import { formatRepository, locateImage } from './locate-image.ts'
import { parseMirror } from './parse-mirror.ts'

const digest = `sha256:${'a'.repeat(64)}`

test.each([
  ['debian', 'docker.io/library/debian', 'latest'],
  ['debian:12', 'docker.io/library/debian', '12'],
  ['team/app', 'docker.io/team/app', 'latest'],
  ['docker.io/debian', 'docker.io/library/debian', 'latest'],
  ['index.docker.io/team/app:1', 'docker.io/team/app', '1'],
  ['registry.example/app', 'registry.example/app', 'latest'],
  ['registry.example:5000/team/app:v1', 'registry.example:5000/team/app', 'v1'],
  ['localhost/app', 'localhost/app', 'latest'],
  ['localhost:5000/app', 'localhost:5000/app', 'latest'],
  ['[::1]:5000/app', '[::1]:5000/app', 'latest'],
  ['Registry/app', 'registry/app', 'latest'],
  [`team/app:v1@${digest}`, 'docker.io/team/app', digest],
])('%s is %s', (text, repository, reference) => {
  const location = locateImage(parseReference(text))
  expect([formatRepository(location.repository), location.reference]).toEqual([repository, reference])
})

test.each([
  ['mirror.example', { registry: 'mirror.example', prefix: '', plainHttp: undefined }],
  ['mirror.example:5000/docker-hub/', { registry: 'mirror.example:5000', prefix: 'docker-hub/', plainHttp: undefined }],
  ['https://mirror.example/v2/', { registry: 'mirror.example', prefix: '', plainHttp: false }],
  ['http://10.0.0.1:5000/v2/hub', { registry: '10.0.0.1:5000', prefix: 'hub/', plainHttp: true }],
])('a mirror %s', (text, address) => expect(parseMirror(text)).toEqual(address))

test.each(['', 'https://', 'user:secret@mirror.example', 'mirror example', 'ftp://mirror.example'])(
  '%j is no mirror',
  (text) => {
    expect(() => parseMirror(text)).toThrow(expect.objectContaining({ code: 'SETTINGS_INVALID' }))
  },
)
