import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundleScript } from '../support/bundle-script.ts'
import { busyboxImageTools, busyboxLayer } from '../support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../support/cowshed.ts'
import { buildImage, buildLayer, ociArchive } from '../support/image-builder.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'
import type { TarPiece } from '../support/tar-builder.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.ts'

const program = new URL('../../src/machines/qemu/confine/cgroups.testkit.ts', import.meta.url)
const tools = ['qemu-system-x86_64', 'mke2fs', 'ldd', ...busyboxImageTools, ...kernelTools]

/** A guest is a host with cgroups of version 2, whatever those of this machine are: what bounds VMs is run in it, with this Node. */
describe.runIf(needs({ tools }))('cgroups of version 2', () => {
  let cowshed: Cowshed
  let directory: TemporaryDirectory

  beforeAll(async () => {
    directory = await temporaryDirectory()
    cowshed = await openCowshed()
    const node = buildLayer(await nodeFiles(), { compression: 'none' })
    const image = buildImage({ layers: [busyboxLayer(), node], run: { Env: ['PATH=/bin'] } })
    const archive = join(directory.path, 'node.tar')
    await writeFile(archive, ociArchive([{ image, ref: 'node:1' }]))
    await cowshed.ok('image', 'load', archive)
    await cowshed.ok('create', 'host', '--image', 'node:1', '--memory', '768MiB', '--net', 'none')
  }, 600_000)
  afterAll(async () => {
    await cowshed[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  test('bound memory, CPUs and threads of a VM as they are told; who takes too much is ended alone, and what was made goes', async () => {
    const mount = 'mkdir -p /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup'
    const run = `${mount} && exec ${process.execPath} /program.mjs`
    expect(await cowshed.ok('exec', 'host', '--', 'sh', '-c', run)).toBe('bounded memory cpu pids\nended alone\n')
  }, 300_000)
})

/** This Node, the libraries that it is linked with, and the program. */
async function nodeFiles(): Promise<TarPiece[]> {
  const linked = execFileSync('ldd', [process.execPath], { encoding: 'utf8' })
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
  const files = [process.execPath, ...libraries].map((path) => ({ path, content: readFileSync(path) }))
  const all = [...files, { path: '/program.mjs', content: readFileSync(await bundleScript(program)) }]
  const directories = new Set(all.flatMap(({ path }) => parentsOf(path)))
  return [
    ...[...directories].sort().map((path): TarPiece => ({ path: path.slice(1), type: 'directory', mode: 0o755 })),
    ...all.map(({ path, content }): TarPiece => ({ path: path.slice(1), mode: 0o755, content })),
  ]
}

function parentsOf(path: string): string[] {
  const parent = dirname(path)
  return parent === '/' ? [] : [...parentsOf(parent), parent]
}
