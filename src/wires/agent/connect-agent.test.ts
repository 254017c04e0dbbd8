import { createHash, randomBytes } from 'node:crypto'
import { chmod, mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { needs } from '../../../test/support/needs.ts'
import { encodeFrame, encodeSync, frameTypes } from '../../formats/index.ts'
import type { AgentConnection, AgentExec, ExecSpec } from './agent-connection.ts'
import { connectAgent } from './connect-agent.ts'
import { type LocalAgent, startLocalAgent } from './local-agent.testkit.ts'

const hasCompiler = needs({ tools: ['make', 'musl-gcc'] })
const isRoot = process.getuid?.() === 0

describe.runIf(hasCompiler)('the agent itself, run on this host', () => {
  let local: LocalAgent
  let agent: AgentConnection

  beforeAll(async () => {
    local = await startLocalAgent()
    agent = await connectAgent(local)
  })
  afterAll(async () => {
    agent.close()
    expect(local.death()).toBeUndefined()
    await local[Symbol.asyncDispose]()
  })

  const path = (name: string) => join(local.directory, name)

  describe('a connection', () => {
    test('says who is there and that it is ready', async () => {
      expect(agent.hello).toEqual({
        protocol: 1,
        agentVersion: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
        bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
      })
      expect((await agent.ready).uptimeMs).toBeGreaterThan(0)
    })

    test('nobody behind the socket, and nobody answering', async () => {
      await expect(connectAgent({ ...local, socketPath: path('absent') })).rejects.toMatchObject({
        code: 'AGENT_UNREACHABLE',
      })
      // The agent serves one host at a time: a second one waits, but not for ever.
      await expect(connectAgent({ ...local, timeoutMs: 50 })).rejects.toMatchObject({ code: 'AGENT_UNREACHABLE' })
      const patience = AbortSignal.timeout(50)
      await expect(connectAgent({ ...local, signal: patience })).rejects.toMatchObject({ code: 'CANCELLED' })
    })
  })

  describe('exec', () => {
    test('keeps stdout and stderr apart and gives the exit code', async () => {
      const done = await run(agent, ['sh', '-c', 'echo out; echo err >&2; exit 7'])
      expect(done).toEqual({ stdout: 'out\n', stderr: 'err\n', exit: { code: 7 } })
    })

    test('gives exactly the environment asked for, and what no program can do without', async () => {
      const { stdout } = await run(agent, ['/usr/bin/env'], { env: { GREETING: 'a=b c', PATH: '/bin' } })
      const lines = stdout.trim().split('\n')
      expect(lines.filter((line) => !line.startsWith('HOME='))).toEqual(['GREETING=a=b c', 'PATH=/bin'])
      expect(lines).toHaveLength(3)
    })

    test('looks along the PATH that it was given', async () => {
      await mkdir(path('bin'))
      await writeFile(path('bin/greet'), '#!/bin/sh\necho hello from $0\n', { mode: 0o755 })
      const found = await run(agent, ['greet'], { env: { PATH: `/nowhere:${path('bin')}` } })
      expect(found.stdout).toBe(`hello from ${path('bin/greet')}\n`)
      expect(await run(agent, ['greet'])).toMatchObject({ exit: { code: 127 } })
    })

    test.each([
      [['nosuch-program'], 127, 'No such file'],
      [['/etc'], 126, 'Permission denied'],
      [['/etc/passwd'], 126, 'Permission denied'],
      [[''], 127, 'No such file'],
    ])('%j cannot be run: %i, as in a shell', async (argv, code, reason) => {
      const done = await run(agent, argv)
      expect(done.exit).toEqual({ code })
      expect(done.stderr).toContain(reason)
    })

    test('starts where it is told to, and refuses a directory that is not there', async () => {
      expect((await run(agent, ['pwd'], { cwd: local.directory })).stdout.trim()).toBe(local.directory)
      expect((await run(agent, ['pwd'])).stdout).toBe('/\n')
      await expect(start(agent, ['pwd'], { cwd: path('absent') })).rejects.toMatchObject({
        code: 'GUEST_FILE_NOT_FOUND',
        data: { errno: 'ENOENT' },
      })
    })

    test.runIf(isRoot)('runs as the user asked for, with their groups', async () => {
      const id = async (user: string) => (await run(agent, ['id'], { user })).stdout.trim()
      expect(await id('nobody')).toBe('uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)')
      expect(await id('nobody:root')).toBe('uid=65534(nobody) gid=0(root) groups=0(root)')
      expect(await id('4321')).toBe('uid=4321 gid=0(root) groups=0(root)')
      expect(await id('4321:1234')).toBe('uid=4321 gid=1234 groups=1234')
      await expect(start(agent, ['id'], { user: 'stranger' })).rejects.toMatchObject({ code: 'GUEST_FAILED' })
      await expect(start(agent, ['id'], { user: 'root:strangers' })).rejects.toMatchObject({ code: 'GUEST_FAILED' })
    })

    test('stdin ends when it is ended, and is empty when there is none', async () => {
      const counting = await start(agent, ['wc', '-c'], { stdin: true })
      await counting.writeStdin(Buffer.from('four'))
      await counting.writeStdin(Buffer.from('more'))
      counting.endStdin()
      expect(await text(counting.stdout)).toBe('8\n')
      expect(await run(agent, ['wc', '-c'])).toMatchObject({ stdout: '0\n' })
    })

    test('ten megabytes go in and come out again, read slowly and hashed', async () => {
      const data = randomBytes(10 << 20)
      const cat = await start(agent, ['cat'], { stdin: true })
      const writing = cat.writeStdin(data).then(() => cat.endStdin())
      const hash = createHash('sha256')
      let chunks = 0
      for await (const chunk of cat.stdout) {
        hash.update(chunk)
        if (chunks++ % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await writing
      expect(await cat.exit).toEqual({ code: 0 })
      expect(hash.digest('hex')).toBe(createHash('sha256').update(data).digest('hex'))
    })

    test('a program that nobody listens to is held back, and holds up no other', async () => {
      const flood = await start(agent, ['sh', '-c', 'yes | head -c 3000000; yes | head -c 3000000 >&2; echo done'])
      expect((await run(agent, ['echo', 'me too'])).stdout).toBe('me too\n')
      const [stdout, stderr] = await Promise.all([text(flood.stdout), text(flood.stderr)])
      expect([stdout.length, stderr.length]).toEqual([3_000_005, 3_000_000])
    })

    test('output that nobody wants any more does not hold the program', async () => {
      const flood = await start(agent, ['sh', '-c', 'yes | head -c 3000000; exit 5'])
      for await (const chunk of flood.stdout) {
        expect(chunk.length).toBeGreaterThan(0)
        break
      }
      expect(await flood.exit).toEqual({ code: 5 })
    })

    test('writing to a program that does not read waits, and ends with the program', async () => {
      const deaf = await start(agent, ['sleep', '60'], { stdin: true })
      let written = false
      const writing = deaf.writeStdin(Buffer.alloc(1 << 20)).then(() => {
        written = true
      })
      await run(agent, ['true'])
      expect(written).toBe(false)
      deaf.signal('KILL')
      expect(await deaf.exit).toEqual({ code: 137, signal: 'SIGKILL' })
      await writing
    })

    test('stdin that the program has closed swallows the rest', async () => {
      const closed = await start(agent, ['sh', '-c', 'exec <&-; sleep 0.2; echo still here'], { stdin: true })
      await closed.writeStdin(Buffer.alloc(2 << 20))
      expect(await text(closed.stdout)).toBe('still here\n')
    })

    test('signals reach the whole group', async () => {
      const group = await start(agent, [
        'sh',
        '-c',
        'trap "echo heard; exit 3" USR1; echo up; while :; do sleep 0.05; done',
      ])
      const stdout = group.stdout[Symbol.asyncIterator]()
      expect(String((await stdout.next()).value)).toBe('up\n')
      group.signal('SIGUSR1')
      expect(String((await stdout.next()).value)).toBe('heard\n')
      expect(await group.exit).toEqual({ code: 3 })
      expect(() => group.signal('SIGNOTHING')).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }))

      const parent = await start(agent, ['sh', '-c', 'sleep 60 & echo $!; wait'])
      const child = Number.parseInt(await first(parent.stdout), 10)
      parent.signal('TERM')
      expect(await parent.exit).toEqual({ code: 143, signal: 'SIGTERM' })
      await until(async () => !(await isAlive(child)))
    })

    test('a daemon that keeps stdout open does not keep the caller waiting', async () => {
      const done = await run(agent, ['sh', '-c', 'sleep 60 & echo $!'])
      expect(done.exit).toEqual({ code: 0 })
      process.kill(Number(done.stdout))
    })

    test('cancelling hangs up on the program', async () => {
      const long = await start(agent, ['sleep', '60'])
      long.cancel()
      await expect(long.exit).rejects.toMatchObject({ code: 'CANCELLED' })
      await expect(text(long.stdout)).resolves.toBe('')
      await until(async () => !(await isAlive(long.pid)))
    })

    test('a hundred at once', async () => {
      const all = await Promise.all(Array.from({ length: 100 }, (_, i) => run(agent, ['echo', String(i)])))
      expect(all.map(({ stdout }) => Number(stdout))).toEqual(Array.from({ length: 100 }, (_, i) => i))
    })

    test('what cannot be asked for is refused here', async () => {
      await expect(start(agent, ['echo', 'x'.repeat(70_000)])).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
      await expect(start(agent, ['echo', 'a\0b'])).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
      await expect(start(agent, ['env'], { env: { 'A=B': '' } })).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
      const tooMany = Array.from({ length: 129 }, () => agent.stat('/'))
      const outcomes = await Promise.allSettled(tooMany)
      expect(outcomes.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'LIMIT_EXCEEDED' } })
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(128)
    })
  })

  describe('a terminal', () => {
    const tty = { rows: 24, cols: 80 }

    test('has the size asked for, is the controlling one, and changes its size', async () => {
      const script =
        'test -t 0 && test -t 2 && stty size; trap "stty size; exit 4" WINCH; : < /dev/tty && echo mine; while :; do sleep 0.05; done'
      const shell = await start(agent, ['sh', '-c', script], { tty, stdin: true })
      const lines = linesOf(shell.stdout)
      expect((await lines.next()).value).toBe('24 80')
      expect((await lines.next()).value).toBe('mine')
      shell.resize(50, 132)
      expect((await lines.next()).value).toBe('50 132')
      expect(await shell.exit).toEqual({ code: 4 })
      expect(await text(shell.stderr)).toBe('')
    })

    test('Ctrl-C interrupts; the end of stdin is Ctrl-D', async () => {
      const sleeping = await start(agent, ['sh', '-c', 'echo up; exec sleep 60'], { tty, stdin: true })
      expect(await first(sleeping.stdout)).toContain('up')
      await sleeping.writeStdin(Buffer.from('\x03'))
      expect(await sleeping.exit).toEqual({ code: 130, signal: 'SIGINT' })

      const reading = await start(agent, ['cat'], { tty, stdin: true })
      await reading.writeStdin(Buffer.from('typed\n'))
      reading.endStdin()
      expect(await text(reading.stdout)).toContain('typed\r\ntyped\r\n')
      expect(await reading.exit).toEqual({ code: 0 })
    })

    test('outlives the descriptors of its program, which may come back to it', async () => {
      const leaving = await start(agent, ['sh', '-c', 'exec <&- >&- 2>&-; sleep 0.3; exit 7'], { tty })
      expect(await text(leaving.stdout)).toBe('')
      expect(await leaving.exit).toEqual({ code: 7 })

      const returning = await start(agent, ['sh', '-c', 'exec <&- >&- 2>&-; sleep 0.3; echo back > /dev/tty'], { tty })
      expect(await text(returning.stdout)).toBe('back\r\n')
      expect(await returning.exit).toEqual({ code: 0 })
    })

    test('without a program it is a login shell', async () => {
      const shell = await start(agent, [], { tty, stdin: true, env: { PS1: '', ENV: '' } })
      await shell.writeStdin(Buffer.from('echo "<$0> <$SHELL> <$TERM>"; exit 9\n'))
      expect(await text(shell.stdout)).toMatch(/<-\w+> <\/\S+> <xterm>/)
      expect(await shell.exit).toEqual({ code: 9 })
    })

    test('all that was printed arrives before the end', async () => {
      const shell = await start(agent, ['sh', '-c', 'i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done'], {
        tty,
      })
      expect((await text(shell.stdout)).split('\r\n')).toHaveLength(2001)
    })
  })

  describe('files', () => {
    test('are written whole with mode and time, read back in part, and replaced', async () => {
      const data = randomBytes(3_000_000)
      await agent.writeFile(path('file'), chunked(data, 100_000), { mode: 0o4750, mtimeMs: 1_500_000_000_123 })
      const status = await stat(path('file'))
      expect([status.mode & 0o7777, status.mtimeMs]).toEqual([0o4750, 1_500_000_000_123])
      expect((await readFile(path('file'))).equals(data)).toBe(true)
      expect((await bytesOf(agent.readFile(path('file')))).equals(data)).toBe(true)
      const part = await bytesOf(agent.readFile(path('file'), { offset: 1_000_000, length: 70_000 }))
      expect(part.equals(data.subarray(1_000_000, 1_070_000))).toBe(true)
      await agent.writeFile(path('file'), Buffer.from('short'), { mode: 0o600 })
      expect(await agent.stat(path('file'))).toMatchObject({ mode: 0o100600, size: 5 })
      await agent.writeFile(path('empty'), Buffer.alloc(0), { mode: 0o644 })
      expect(await bytesOf(agent.readFile(path('empty')))).toEqual(Buffer.alloc(0))
    })

    test.runIf(isRoot)('belong to whom they should', async () => {
      await agent.writeFile(path('owned'), Buffer.from('x'), { mode: 0o600, uid: 12, gid: 34 })
      await agent.writeFile(path('owned'), Buffer.from('y'), { mode: 0o600 })
      expect(await agent.stat(path('owned'))).toMatchObject({ uid: 12, gid: 34, size: 1 })
    })

    test('are written through a symlink, never over a device or a directory', async () => {
      await writeFile(path('real'), 'old')
      await symlink('real', path('link'))
      await agent.writeFile(path('link'), Buffer.from('new'), { mode: 0o644 })
      expect(await readlink(path('link'))).toBe('real')
      expect(await readFile(path('real'), 'utf8')).toBe('new')
      const refused = { code: 'GUEST_FAILED' }
      await expect(agent.writeFile('/dev/null', Buffer.from('x'), { mode: 0o644 })).rejects.toMatchObject(refused)
      await expect(agent.writeFile(local.directory, Buffer.from('x'), { mode: 0o644 })).rejects.toMatchObject(refused)
    })

    test('a source that fails leaves no file, and no half of one', async () => {
      await mkdir(path('half'))
      const broken = async function* () {
        yield Buffer.alloc(200_000)
        throw new Error('the disk of the host broke')
      }
      await expect(agent.writeFile(path('half/file'), broken(), { mode: 0o644 })).rejects.toThrow(
        'the disk of the host',
      )
      await until(async () => (await agent.list(path('half'))).length === 0)
    })

    test('that are not there say so', async () => {
      const missing = { code: 'GUEST_FILE_NOT_FOUND' }
      await expect(agent.stat(path('no'))).rejects.toMatchObject(missing)
      await expect(agent.list(path('no'))).rejects.toMatchObject(missing)
      await expect(agent.readlink(path('no'))).rejects.toMatchObject(missing)
      await expect(agent.remove(path('no'))).rejects.toMatchObject(missing)
      await expect(bytesOf(agent.readFile(path('no')))).rejects.toMatchObject(missing)
      await expect(agent.writeFile(path('no/file'), Buffer.from('x'), { mode: 0o644 })).rejects.toMatchObject(missing)
      await expect(bytesOf(agent.readFile(local.directory))).rejects.toMatchObject({ data: { errno: 'EISDIR' } })
      await expect(agent.stat('')).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
    })

    test('directories are made, listed and removed; names need not be UTF-8', async () => {
      await agent.makeDirectory(path('a/b/c'), { parents: true, mode: 0o700 })
      await agent.makeDirectory(path('a/b/c'), { parents: true })
      await expect(agent.makeDirectory(path('a'))).rejects.toMatchObject({ data: { errno: 'EEXIST' } })
      const odd = Buffer.concat([Buffer.from(path('a/')), Buffer.from([0xff, 0x20, 0x0a])])
      await agent.writeFile(odd, Buffer.from('odd'), { mode: 0o644 })
      await agent.symlink('/nowhere/at all', path('a/link'))
      expect((await agent.readlink(path('a/link'))).toString()).toBe('/nowhere/at all')

      const entries = (await agent.list(path('a'))).sort((a, b) => a.name.compare(b.name))
      expect(entries.map(({ name }) => name.toString('latin1'))).toEqual(['b', 'link', '\xff \n'])
      expect(entries.map(({ stat: { mode } }) => mode & 0o170000)).toEqual([0o040000, 0o120000, 0o100000])
      expect((await agent.stat(path('a/b/c'))).mode & 0o7777).toBe(0o700)
      await expect(agent.remove(path('a'))).rejects.toMatchObject({ data: { errno: 'ENOTEMPTY' } })
      await agent.remove(path('a'), { recursive: true })
      await expect(agent.stat(path('a'))).rejects.toMatchObject({ code: 'GUEST_FILE_NOT_FOUND' })
    })

    test('a directory of hundreds is listed whole', async () => {
      await mkdir(path('many'))
      await run(agent, ['sh', '-c', 'touch $(seq 400)'], { cwd: path('many') })
      expect(await agent.list(path('many'))).toHaveLength(400)
    })

    test('a read that is given up leaves nothing running', async () => {
      for await (const chunk of agent.readFile('/dev/zero')) {
        expect(chunk[0]).toBe(0)
        break
      }
      expect((await agent.stat('/dev/zero')).mode & 0o170000).toBe(0o020000)
    })

    test('a FIFO that nobody writes to does not hold the agent', async () => {
      await run(agent, ['mkfifo', path('fifo')])
      await chmod(path('fifo'), 0o600)
      expect(await bytesOf(agent.readFile(path('fifo'), { timeoutMs: 5000 }))).toEqual(Buffer.alloc(0))
    })
  })

  test('what touches the machine is refused by an agent that did not boot it', async () => {
    const refused = { code: 'GUEST_FAILED', data: { errno: 'EPERM' } }
    await expect(agent.freeze()).rejects.toMatchObject(refused)
    await expect(agent.thaw()).rejects.toMatchObject(refused)
    await expect(agent.trim()).rejects.toMatchObject(refused)
    await expect(agent.setClock(0n)).rejects.toMatchObject(refused)
    await expect(agent.setIdentity({ hostname: 'x', machineId: '', entropy: Buffer.alloc(0) })).rejects.toMatchObject(
      refused,
    )
    await expect(agent.poweroff()).rejects.toMatchObject(refused)
  })
})

describe.runIf(hasCompiler)('hosts that come and go', () => {
  test('the next host finds a clean agent, whatever the last one left half done', async () => {
    await using local = await startLocalAgent()
    const earlier = await connectAgent(local)
    const abandoned = await start(earlier, ['sleep', '60'], { stdin: true })
    const floods = await start(earlier, ['yes'])
    earlier.close()
    await expect(abandoned.exit).rejects.toMatchObject({ code: 'AGENT_UNREACHABLE' })
    await expect(earlier.stat('/')).rejects.toMatchObject({ code: 'AGENT_UNREACHABLE' })
    await earlier.closed

    using next = await closing(connectAgent(local))
    expect((await run(next.agent, ['echo', 'clean'])).stdout).toBe('clean\n')
    await until(async () => !(await isAlive(abandoned.pid)) && !(await isAlive(floods.pid)))
  })

  test('a host begins anew on the very same byte stream, in the middle of a frame', async () => {
    await using local = await startLocalAgent()
    const key = Buffer.from(local.key, 'hex')
    const socket = createConnection(local.socketPath)
    const received: Buffer[] = []
    socket.on('data', (chunk: Buffer) => received.push(chunk))
    const sawNonce = (nonce: Buffer) => until(async () => Buffer.concat(received).includes(nonce))

    const nonces = Array.from({ length: 4 }, () => randomBytes(16))
    const stat = encodeFrame({ type: frameTypes.STAT, channel: 1, payload: Buffer.from([0, 1, 0, 0, 0, 0x2f]) })
    const [first, second, third, last] = nonces as [Buffer, Buffer, Buffer, Buffer]
    socket.write(encodeSync(key, first))
    await sawNonce(first)
    // Half a header, half a payload, half a nonce: each time somebody else goes on.
    socket.write(Buffer.concat([stat.subarray(0, 7), encodeSync(key, second), stat.subarray(0, 15)]))
    await sawNonce(second)
    socket.write(Buffer.concat([encodeSync(key, third).subarray(0, 20), encodeSync(key, last).subarray(0, 9)]))
    await new Promise((resolve) => setTimeout(resolve, 20))
    socket.write(Buffer.concat([encodeSync(key, last).subarray(9), stat]))
    await sawNonce(last)
    await until(async () => {
      const all = Buffer.concat(received)
      return all.subarray(all.indexOf(last)).includes(Buffer.from([1, 0, 0, 0, frameTypes.OK, 0, 0, 0]))
    })
    socket.destroy()
  })

  test('bytes that are the key itself can be written: the agent is not fooled by what it is sent', async () => {
    await using local = await startLocalAgent()
    using host = await closing(connectAgent(local))
    const key = Buffer.from(local.key, 'hex')
    const data = Buffer.concat([Buffer.from('before'), key, key, Buffer.alloc(100_000), key, Buffer.from('after')])
    await host.agent.writeFile(join(local.directory, 'key'), data, { mode: 0o600 })
    expect((await readFile(join(local.directory, 'key'))).equals(data)).toBe(true)
  })

  test('an agent that is stopped answers nobody: callers get a problem in time, and the connection lives on', async () => {
    await using local = await startLocalAgent()
    using host = await closing(connectAgent(local))
    const { stdout } = await run(host.agent, ['sh', '-c', 'echo $PPID'])
    process.kill(Number(stdout), 'SIGSTOP')
    const late = { timeoutMs: 40 }
    const unreachable = { code: 'AGENT_UNREACHABLE' }
    await expect(host.agent.stat('/', late)).rejects.toMatchObject(unreachable)
    await expect(start(host.agent, ['true'], late)).rejects.toMatchObject(unreachable)
    await expect(bytesOf(host.agent.readFile('/etc/passwd', late))).rejects.toMatchObject(unreachable)
    await expect(
      host.agent.writeFile(join(local.directory, 'late'), Buffer.alloc(1 << 20), { mode: 0o600, ...late }),
    ).rejects.toMatchObject(unreachable)
    process.kill(Number(stdout), 'SIGCONT')
    expect((await run(host.agent, ['echo', 'awake'])).stdout).toBe('awake\n')
  })
})

async function closing(connecting: Promise<AgentConnection>) {
  const agent = await connecting
  return { agent, [Symbol.dispose]: () => agent.close() }
}

function start(agent: AgentConnection, argv: string[], spec: Partial<ExecSpec> = {}): Promise<AgentExec> {
  return agent.exec({ argv, env: {}, stdin: false, ...spec })
}

async function run(agent: AgentConnection, argv: string[], spec: Partial<ExecSpec> = {}) {
  const started = await start(agent, argv, spec)
  const [stdout, stderr, exit] = await Promise.all([text(started.stdout), text(started.stderr), started.exit])
  return { stdout, stderr, exit }
}

async function bytesOf(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function text(source: AsyncIterable<Buffer>): Promise<string> {
  return (await bytesOf(source)).toString()
}

async function first(source: AsyncIterable<Buffer>): Promise<string> {
  for await (const chunk of source) return chunk.toString()
  return ''
}

async function* linesOf(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pending = ''
  for await (const chunk of source) {
    const lines = (pending + chunk.toString()).split(/\r?\n/)
    pending = lines.pop() ?? ''
    yield* lines
  }
}

async function* chunked(data: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

/** Waits for what is bound to happen; the test's own timeout is the limit. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10))
}

async function isAlive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return status !== '' && !/\) Z /.test(status)
}
