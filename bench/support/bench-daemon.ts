import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { type DataLayout, dataLayout } from '../../src/base/index.ts'
import type { ExecControl, ListShedsReply } from '../../src/contract/index.ts'
import { ensureBuilt } from '../../test/support/build.ts'
import { busyboxArchive } from '../../test/support/busybox-image.ts'
import { testKernel } from '../../test/support/kernel.ts'

export const launcher = join(import.meta.dirname, '../../bin/cowshed')
/** The image that every bench's daemon has. */
export const image = 'mini:1'

export interface BenchDaemon extends AsyncDisposable {
  readonly layout: DataLayout
  /** @returns the JSON of the answer; throws when it is an error */
  call<T>(method: string, path: string, body?: object): Promise<T>
  /** Takes an answer to its last byte, and makes nothing of it. @returns its length; throws when it is an error */
  read(path: string): Promise<number>
  /** Runs a program in a running shed, and reads what it prints to the end. @returns its exit code */
  exec(shed: string, argv: readonly string[]): Promise<number>
}

/**
 * The program as it is released, serving a data directory that has an image (with its lower) and, when asked, a guest kernel. Its end leaves
 * no VM and no daemon; the directory is the caller's.
 */
export async function startBenchDaemon(options: {
  readonly data: string
  readonly kernel: 'with kernel' | 'without kernel'
  /** `kept`: the directory has had a daemon already, and its image. */
  readonly image?: 'loaded' | 'kept'
}): Promise<BenchDaemon> {
  await ensureBuilt()
  const layout = dataLayout(options.data)
  await mkdir(layout.root, { recursive: true })
  if (options.kernel === 'with kernel') {
    const { vmlinuz } = await testKernel()
    await cp(dirname(dirname(vmlinuz)), layout.kernels, { recursive: true })
  }
  // In a session of its own: Ctrl-C ends the bench, and the bench ends the daemon.
  const child = spawn(process.execPath, [launcher, 'serve', '--data', layout.root], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  const daemon = clientOf(layout, child)
  await listening(layout.socket, child)
  if (options.image !== 'kept') await loadImage(daemon)
  return daemon
}

function clientOf(layout: DataLayout, child: ChildProcess): BenchDaemon {
  const agent = new Agent({ keepAlive: true })
  const call = <T>(method: string, path: string, body?: object) =>
    callJson<T>({ socketPath: layout.socket, agent, method, path }, body)
  return {
    layout,
    call,
    read: (path) => readToEnd({ socketPath: layout.socket, agent, method: 'GET', path }),
    exec: (shed, argv) => execOver(layout.socket, shed, argv),
    async [Symbol.asyncDispose]() {
      const { sheds } = await call<ListShedsReply>('GET', '/api/sheds').catch(() => ({ sheds: [] }))
      const running = sheds.filter(({ pid }) => pid !== undefined)
      for (const { name } of running) await call('DELETE', `/api/sheds/${name}?force=true`).catch(() => undefined)
      agent.destroy()
      await end(child)
    },
  }
}

interface Where {
  readonly socketPath: string
  readonly agent: Agent
  readonly method: string
  readonly path: string
}

async function callJson<T>(where: Where, body: object | undefined): Promise<T> {
  const text = body === undefined ? '' : JSON.stringify(body)
  const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length }
  const call = request({ ...where, headers })
  call.end(text)
  const [reply] = (await once(call, 'response')) as [IncomingMessage]
  let answer = ''
  for await (const chunk of reply) answer += chunk
  if ((reply.statusCode ?? 500) >= 400) throw new Error(`${where.method} ${where.path}: ${answer}`)
  return (answer === '' ? undefined : JSON.parse(answer)) as T
}

async function readToEnd(where: Where): Promise<number> {
  const call = request({ ...where })
  call.end()
  const [reply] = (await once(call, 'response')) as [IncomingMessage]
  let length = 0
  for await (const chunk of reply) length += (chunk as Buffer).length
  if ((reply.statusCode ?? 500) >= 400) throw new Error(`${where.method} ${where.path}: ${reply.statusCode}`)
  return length
}

function execOver(socketPath: string, shed: string, argv: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://localhost/api/sheds/${shed}/exec`, {
      createConnection: () => connect(socketPath),
      perMessageDeflate: false,
    })
    socket.once('open', () => socket.send(JSON.stringify({ argv, stdin: false })))
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) return
      const control = JSON.parse(data.toString('utf8')) as ExecControl
      if (control.type === 'error') reject(new Error(`exec in ${shed}: ${control.message}`))
      if (control.type !== 'exit') return
      resolve(control.code)
      socket.close()
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error(`exec in ${shed}: the daemon hung up`)))
  })
}

async function loadImage(daemon: BenchDaemon): Promise<void> {
  const path = join(daemon.layout.root, 'bench-image.tar')
  await writeFile(path, busyboxArchive(image))
  await daemon.call('POST', '/api/images/load', { path })
  // Builds the lower, and the template of uppers.
  await daemon.call('POST', '/api/sheds', { name: 'first', image, start: false })
  await daemon.call('DELETE', '/api/sheds/first')
}

async function listening(socketPath: string, child: ChildProcess): Promise<void> {
  for (let waited = 0; waited < 30_000; waited += 20) {
    if (child.exitCode !== null) break
    if (await answers(socketPath)) return
    await sleep(20)
  }
  await end(child)
  throw new Error(`the daemon did not start: try ${launcher} serve`)
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await exited
  clearTimeout(late)
}
