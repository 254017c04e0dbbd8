import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { Problem } from '../../base/index.ts'
import { openTestCli } from '../../cli/cli.testkit.ts'
import type { ExecRequest } from '../../contract/index.ts'
import type { AgentExec } from '../../wires/index.ts'
import { execRoutes } from '../routes/exec-routes.ts'

/** The whole way of exec: the CLI, a real WebSocket, the daemon's session; only the program in the guest is a few lines here. */
const cli = await openTestCli()
afterAll(() => cli.close())

interface Program {
  readonly request: ExecRequest
  readonly exec: AgentExec
  readonly stdin: PassThrough
  readonly stdout: PassThrough
  readonly stderr: PassThrough
  readonly log: string[]
  end(code: number): void
  /** How much of stdin the program has taken. */
  taken(): number
}

function program(request: ExecRequest): Program {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const log: string[] = []
  let taken = 0
  let finish: (exit: { code: number }) => void = () => {}
  let fail: (error: Error) => void = () => {}
  const exit = new Promise<{ code: number }>((resolve, reject) => {
    finish = resolve
    fail = reject
  })
  exit.catch(() => {})
  stdin.on('error', () => {})
  const exec: AgentExec = {
    pid: 42,
    stdout,
    stderr,
    exit,
    async writeStdin(chunk) {
      taken += chunk.length
      if (!stdin.write(chunk)) await once(stdin, 'drain')
    },
    endStdin: () => void stdin.end(),
    resize: (rows, cols) => void log.push(`resize ${rows}x${cols}`),
    signal: (name) => void log.push(`signal ${name}`),
    cancel() {
      log.push('cancel')
      const gone = new Problem('CANCELLED', 'hung up')
      stdin.destroy()
      stdout.destroy(gone)
      stderr.destroy(gone)
      fail(gone)
    },
  }
  const end = (code: number) => {
    stdout.end()
    stderr.end()
    finish({ code })
  }
  return { request, exec, stdin, stdout, stderr, log, end, taken: () => taken }
}

let started: Program[]
/** What the next programs do once they run. */
let behave: (started: Program) => void

beforeEach(() => {
  started = []
  behave = () => {}
  const routes = execRoutes({
    sheds: {
      async exec(name: string, request: ExecRequest) {
        if (name === 'gone')
          throw new Problem('SHED_NOT_RUNNING', 'gone is not running', { hint: 'run: cowshed start gone' })
        const running = program(request)
        started.push(running)
        setImmediate(() => behave(running))
        return running.exec
      },
    } as never,
  })
  Object.assign(cli.handlers, routes)
})

describe('exec', () => {
  test('passes on both outputs and the exit code', async () => {
    behave = ({ stdout, stderr, end }) => {
      stdout.write('out')
      stderr.write('err')
      end(7)
    }
    expect(await cli.run(['exec', 'web', '--', 'ls', '-l', '--json'])).toEqual({
      code: 7,
      stdout: 'out',
      stderr: 'err',
    })
    expect(started[0]?.request).toMatchObject({ argv: ['ls', '-l', '--json'], stdin: true })
  })

  test('takes its options before the name or after it', async () => {
    behave = ({ end }) => end(0)
    await cli.run(['exec', '-u', 'www', '--cwd', '/srv', '-e', 'A=1', 'web', 'ls', '-u'])
    await cli.run(['exec', 'web', '-u', 'www', '--no-stdin', '--', 'ls', '-u'])
    expect(started[0]?.request).toMatchObject({ argv: ['ls', '-u'], user: 'www', cwd: '/srv', env: { A: '1' } })
    expect(started[1]?.request).toMatchObject({ argv: ['ls', '-u'], user: 'www', stdin: false })
  })

  test('streams stdin to its end, both ways without loss', async () => {
    behave = ({ stdin, stdout, end }) => {
      stdin.pipe(stdout)
      stdin.on('end', () => end(0))
    }
    const input = Buffer.alloc(3_000_000, 'abcdefg')
    const { code, stdout } = await cli.run(['exec', 'web', '--', 'cat'], { input })
    expect(code).toBe(0)
    expect(Buffer.from(stdout).equals(input)).toBe(true)
  })

  test('what keeps it from running is told apart from what it answers: 125', async () => {
    expect(await cli.run(['exec', 'gone', '--', 'ls'])).toEqual({
      code: 125,
      stdout: '',
      stderr: 'error: gone is not running\nhint: run: cowshed start gone\n',
    })
  })

  test('a name that is none is refused before the connection is upgraded', async () => {
    const socket = new WebSocket(`ws+unix:${cli.directory}/daemon.sock:/api/sheds/No%20Name/exec`)
    socket.on('error', () => {})
    const [, response] = await once(socket, 'unexpected-response')
    expect(response.statusCode).toBe(400)
    response.resume()
  })

  test('signals go to the program', async () => {
    let hear: (signal: 'SIGINT' | 'SIGTERM') => void = () => {}
    behave = (running) => {
      hear('SIGINT')
      running.stdout.write('')
      const poll = setInterval(() => {
        if (running.log.length === 0) return
        clearInterval(poll)
        running.end(130)
      }, 5)
    }
    const takeSignals = (listener: typeof hear) => {
      hear = listener
      return () => {}
    }
    expect((await cli.run(['exec', 'web', '--', 'sleep'], { takeSignals })).code).toBe(130)
    expect(started[0]?.log).toEqual(['signal SIGINT'])
  })

  test('a program that does not read stops the client, not the daemon’s memory', async () => {
    const socket = await open('exec')
    socket.send(JSON.stringify({ argv: ['sleep'] }))
    await once(socket, 'message')
    const chunk = Buffer.alloc(256 * 1024)
    for (let i = 0; i < 64; i++) socket.send(chunk)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(started[0]?.taken()).toBeLessThan(1e6)
    expect(socket.bufferedAmount).toBeGreaterThan(8e6)
    socket.terminate()
    // Nor is that client forgotten because nothing is read from it.
    await expect.poll(() => started[0]?.log, { timeout: 10_000 }).toContain('cancel')
  })

  test('a client that goes away hangs up on the program', async () => {
    const socket = await open('exec')
    socket.send(JSON.stringify({ argv: ['sleep'] }))
    await once(socket, 'message')
    socket.close()
    await expect.poll(() => started[0]?.log).toEqual(['cancel'])
  })
})

describe('a conversation that makes no sense', () => {
  const bytes = (stream: number) => Buffer.of(stream, 1, 2, 3)

  test.each([
    ['is no JSON', 'nonsense', 'not JSON'],
    ['is binary', bytes(0), 'must be text'],
    ['names nothing to run', '{}', 'say what to run'],
    ['has a field nobody knows', '{"argv":["ls"],"shell":true}', 'shell'],
  ])('a request that %s is refused', async (_, message, reason) => {
    const socket = await open('exec')
    socket.send(message)
    const [data] = await once(socket, 'message')
    expect(JSON.parse(String(data))).toMatchObject({ type: 'error', code: 'INVALID_REQUEST' })
    expect(String(data)).toContain(reason)
  })

  test.each([
    ['writes to stdout', bytes(1)],
    ['is no control', '{"type":"frobnicate"}'],
    ['is the server’s', '{"type":"exit","code":0}'],
    ['is no JSON', '{'],
  ])('a message that %s ends the program', async (_, message) => {
    const socket = await open('exec')
    const messages: { type: string; code: string }[] = []
    socket.on('message', (data) => messages.push(JSON.parse(String(data))))
    socket.send(JSON.stringify({ argv: ['sleep'] }))
    await expect.poll(() => messages.length).toBe(1)
    socket.send(message)
    await once(socket, 'close')
    expect(messages.at(-1)).toMatchObject({ type: 'error', code: 'INVALID_REQUEST' })
    expect(started[0]?.log).toEqual(['cancel'])
  })
})

describe('shell', () => {
  test('runs on a terminal of this one’s size, in raw mode, which is restored', async () => {
    behave = ({ end }) => end(0)
    const { code } = await cli.run(['shell', 'web'], { isTty: true, env: { TERM: 'vt100' } })
    expect(code).toBe(0)
    expect(started[0]?.request).toEqual({ stdin: true, tty: { rows: 24, cols: 80 }, env: { TERM: 'vt100' } })
  })

  test('needs a terminal in its request', async () => {
    const socket = await open('shell')
    socket.send('{}')
    const [data] = await once(socket, 'message')
    expect(String(data)).toContain('a shell needs one')
  })

  test('a resize reaches the program', async () => {
    const socket = await open('shell')
    socket.send(JSON.stringify({ tty: { rows: 1, cols: 2 } }))
    await once(socket, 'message')
    socket.send(JSON.stringify({ type: 'resize', rows: 50, cols: 100 }))
    await expect.poll(() => started[0]?.log).toEqual(['resize 50x100'])
    started[0]?.end(0)
    await once(socket, 'close')
  })
})

async function open(route: 'exec' | 'shell'): Promise<WebSocket> {
  const socket = new WebSocket(`ws+unix:${cli.directory}/daemon.sock:/api/sheds/web/${route}`)
  await once(socket, 'open')
  return socket
}
