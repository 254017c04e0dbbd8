import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { freePort } from '../support/free-port.ts'
import { kernelTools, testKernelSource } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const root = join(import.meta.dirname, '../..')

describe('the daemon as a process', () => {
  let cowshed: Cowshed

  beforeEach(async () => {
    cowshed = await openCowshed({ kernel: false, processes: true })
  })
  afterEach(async () => await cowshed[Symbol.asyncDispose]())

  test('is started by the first command that needs it, and by no other', async () => {
    expect(await cowshed.ok('version')).toMatch(/^cowshed \S+\n$/)
    expect(await cowshed.daemonPid()).toBeUndefined()
    const first = await cowshed.run('ls')
    expect(first.stderr).toContain(`started a daemon for ${cowshed.layout.root}`)
    const second = await cowshed.run('ls')
    expect(second).toMatchObject({ code: 0, stderr: '' })
    expect(await cowshed.ok('version')).toContain(`pid ${await cowshed.daemonPid()}`)
  })

  test('of several commands at once there is one', async () => {
    const results = await Promise.all(['a', 'b', 'c', 'd'].map(() => cowshed.run('ls', '--json')))
    for (const { code, stdout, stderr } of results) expect([code, stdout], stderr).toEqual([0, '{\n  "sheds": []\n}\n'])
    await until(async () => (await serving(cowshed)).length === 1, 'those that came too late have ended')
    expect(await serving(cowshed)).toEqual([await cowshed.daemonPid()])
  })

  test('a second one is refused, by name of the first', async () => {
    await cowshed.ok('ls')
    const { code, stderr } = await cowshed.run('serve')
    expect(code).toBe(4)
    expect(stderr).toContain(`pid ${await cowshed.daemonPid()}`)
    expect(await cowshed.ok('ls', '-q')).toBe('')
  })

  test('after kill -9 the next command starts another, over the socket that was left', async () => {
    await cowshed.ok('ls')
    const killed = await cowshed.daemonPid()
    await cowshed.killDaemon()
    await cowshed.ok('ls')
    expect(await cowshed.daemonPid()).not.toBe(killed)
  })

  test.runIf(needs({ tools: ['qemu-system-x86_64', ...kernelTools] }))(
    'sets a kernel up that its VMs can read, who are somebody else, though what it makes is its own by default',
    async () => {
      const { vmlinuz, modules = '' } = await testKernelSource()
      await cowshed.ok('setup', '--kernel', vmlinuz, '--modules', modules)
      const { vmlinuz: made, initrd } = cowshed.layout.kernel(
        (await readFile(cowshed.layout.currentKernel, 'utf8')).trim(),
      )
      for (const path of [made, initrd]) expect((await stat(path)).mode & 0o777, path).toBe(0o644)
      expect((await stat(cowshed.layout.daemonLog)).mode & 0o077).toBe(0)
    },
    600_000,
  )

  test('SIGTERM ends it, with exit code 0 and its socket gone', async () => {
    const daemon = cowshed.start('serve')
    await until(async () => (await cowshed.run('version')).stdout.includes('daemon'), 'the daemon answers')
    daemon.kill('SIGTERM')
    expect(await once(daemon, 'close')).toEqual([0, null])
    expect(await readdir(cowshed.layout.root)).not.toContain('daemon.sock')
  })

  test('serve --listen answers who has a token over the network; SIGHUP is no reason to end', async () => {
    const port = await freePort()
    const daemon = cowshed.start('serve', '--listen', `127.0.0.1:${port}`)
    await until(async () => (await cowshed.run('version')).stdout.includes('daemon'), 'the daemon answers')
    const token = await cowshed.ok('token', 'create', '--name', 'here')
    daemon.kill('SIGHUP')
    const book = { XDG_CONFIG_HOME: join(cowshed.layout.root, 'book') }
    const added = await cowshed.runWith(
      { input: token, env: book },
      'server',
      'add',
      'here',
      `http://127.0.0.1:${port}`,
      '--token-stdin',
    )
    expect(added).toMatchObject({ code: 0, stderr: '' })
    expect((await cowshed.runWith({ env: book }, 'ls', '--all', '--json')).stdout).toContain('"server_name": "here"')
    daemon.kill('SIGTERM')
    expect(await once(daemon, 'close')).toEqual([0, null])
    expect(await cowshed.run('serve', '--listen', '7443')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not an address'),
    })
  })

  test('one that cannot start says why, and the command says it', async () => {
    await mkdir(cowshed.layout.root)
    await writeFile(cowshed.layout.imageIndex, '')
    await writeFile(join(cowshed.layout.root, 'oci-layout'), '{"imageLayoutVersion":"9.0.0"}')
    const { code, stderr } = await cowshed.run('ls')
    expect(code).toBe(7)
    expect(stderr).toMatch(/^error: the daemon could not start: .*layout/)
  })

  test('a data directory whose path is too long for a socket is refused with a hint', async () => {
    const { code, stderr } = await cowshed.run('ls', '--data', join(cowshed.layout.root, 'x'.repeat(120)))
    expect(code).toBe(7)
    expect(stderr).toContain('107')
    expect(stderr).toContain('hint: choose a data directory with a shorter path')
  })

  test('a reader that goes away ends a command quietly', async () => {
    await cowshed.ok('ls')
    const shell = spawn(
      'sh',
      ['-c', `"${process.execPath}" bin/cowshed --data "${cowshed.layout.root}" --help | head -1`],
      {
        cwd: root,
      },
    )
    let stderr = ''
    shell.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    shell.stdout.resume()
    await once(shell, 'close')
    expect(stderr).toBe('')
  })
})

describe('the bundle of the command line', () => {
  test('loads for a command only what that command needs', async () => {
    const dist = join(root, 'dist')
    const chunks = await readdir(join(dist, 'cli'))
    const ls = chunks.find((name) => /^ls-\w+\.js$/.test(name))
    const loaded = await reachable([join(dist, 'cli.js'), join(dist, 'cli', ls ?? 'ls.js')])
    const text = (await Promise.all([...loaded].map((path) => readFile(path, 'utf8')))).join('\n')
    // Their own words: what would betray that zod, ws or the daemon came along.
    for (const word of ['ZodError', 'Sec-WebSocket-Key', 'fastify', 'koffi']) expect(text).not.toContain(word)
    expect(text.length).toBeLessThan(120_000)
  })

  test('and is built from sources into any directory', async () => {
    const out = await mkdtemp(join(root, 'node_modules/.cowshed-build-'))
    try {
      const build = spawn(process.execPath, [join(root, 'scripts/build.mjs'), out], { stdio: 'inherit' })
      expect(await once(build, 'close')).toEqual([0, null])
      expect(await readdir(out)).toEqual(
        expect.arrayContaining(['cli.js', 'daemon.js', 'serve-lazy.js', 'unpack-layer-worker.js']),
      )
    } finally {
      await rm(out, { recursive: true })
    }
  })
})

/** Pids of daemons over a data directory. */
async function serving({ layout }: Cowshed): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return pids.filter((_, at) => lines[at]?.includes(`serve\0--data\0${layout.root}\0`))
}

/** A module and what it imports before it runs. */
async function reachable(paths: readonly string[], seen = new Set<string>()): Promise<Set<string>> {
  for (const path of paths.filter((path) => !seen.has(path))) {
    seen.add(path)
    const text = await readFile(path, 'utf8')
    const imports = [...text.matchAll(/(?:from|import)\s*"(\.[^"]+)"/g)].map((match) =>
      join(path, '..', match[1] ?? ''),
    )
    await reachable(imports, seen)
  }
  return seen
}
