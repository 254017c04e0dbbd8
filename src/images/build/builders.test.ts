import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import type { BuildJob } from './build-job.ts'
import { buildWithBuildah } from './build-with-buildah.ts'
import { buildWithBuildx, buildxArguments } from './build-with-buildx.ts'
import { findBuilder } from './find-builder.ts'

const job: BuildJob = {
  context: '/ctx',
  dockerfile: '/ctx/Dockerfile',
  buildArgs: { A: '--privileged' },
  noCache: false,
  staging: '/staging',
  bases: [],
  onLine: () => {},
}

test('buildx gets every value as part of its option, and the context last', () => {
  expect(buildxArguments(job, '/staging/built.tar')).toEqual([
    'buildx',
    'build',
    '--output=type=oci,dest=/staging/built.tar',
    '--progress=plain',
    '--provenance=false',
    '--file=/ctx/Dockerfile',
    '--build-arg=A=--privileged',
    '/ctx',
  ])
})

test('with a source date epoch buildx rewrites the times in layers, and bases of the store are layouts', () => {
  const bases = [{ written: 'debian:12', layout: '/staging/bases', ref: 'base-0' }]
  const args = buildxArguments({ ...job, sourceDateEpoch: 7, target: 'last', platform: 'linux/amd64', bases }, '/b.tar')
  expect(args).toEqual(
    expect.arrayContaining([
      '--output=type=oci,dest=/b.tar,rewrite-timestamp=true',
      '--build-arg=SOURCE_DATE_EPOCH=7',
      '--target=last',
      '--platform=linux/amd64',
      '--build-context=debian:12=oci-layout:///staging/bases:base-0',
    ]),
  )
})

test.each([
  ['ERROR: OCI exporter is not supported for the docker driver.', 'docker buildx create --use'],
  ['ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.', 'is Docker running'],
])('when Docker says "%s", the hint is what to do about it', async (said, hint) => {
  await using directory = await temporaryDirectory()
  await writeFile(join(directory.path, 'docker'), `#!/bin/sh\necho '${said}' >&2; exit 1\n`, { mode: 0o755 })
  const path = process.env.PATH
  process.env.PATH = `${directory.path}:${path}`
  try {
    const failed = { code: 'TOOL_FAILED', message: expect.stringContaining(said), hint: expect.stringContaining(hint) }
    await expect(buildWithBuildx({ ...job, staging: directory.path })).rejects.toMatchObject(failed)
  } finally {
    process.env.PATH = path
  }
})

/** With a PATH that has nothing but these programs. */
async function findWith(tools: readonly string[], uid: number) {
  await using directory = await temporaryDirectory()
  for (const tool of tools) await symlink(join('/usr/bin', tool), join(directory.path, tool))
  const path = process.env.PATH
  process.env.PATH = directory.path
  try {
    return await findBuilder(uid).catch((error: unknown) => error)
  } finally {
    process.env.PATH = path
  }
}

test.runIf(needs({ tools: ['buildah'] }))('buildah is for root', async () => {
  expect(await findWith(['buildah'], 0)).toBe(buildWithBuildah)
  const refused = { code: 'PERMISSION_DENIED', hint: expect.stringContaining('--from-oci-archive') }
  expect(await findWith(['buildah'], 1000)).toMatchObject(refused)
})

test('without a builder it is said which package to install', async () => {
  const missing = { code: 'TOOL_NOT_FOUND', hint: expect.stringContaining('apt install buildah') }
  expect(await findWith([], 0)).toMatchObject(missing)
})
