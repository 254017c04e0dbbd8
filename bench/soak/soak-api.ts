/**
 * Makes thousands of API calls to one daemon and watches what it costs: latencies, descriptors, memory, and what its log says. Run by hand:
 *
 *     node --import tsx bench/soak/soak-api.ts [--calls 10000] [--sheds 1000] [--data DIR]
 *
 * It ends with exit code 1 when descriptors leak, memory keeps growing, or the log has an error that nobody foresaw.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { parseArgs } from 'node:util'
import { busyboxArchive } from '../../test/support/busybox-image.ts'
import { type Cowshed, openCowshed } from '../../test/support/cowshed.ts'

interface Reply {
  readonly status: number
  readonly body: string
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { calls: { type: 'string', default: '10000' }, sheds: { type: 'string', default: '1000' } },
  })
  await using cowshed = await openCowshed()
  const archive = `${cowshed.layout.root}-mini.tar`
  await writeFile(archive, busyboxArchive())
  await cowshed.ok('image', 'load', archive)
  await cowshed.ok('create', 'runs', '--image', 'mini:1')
  const api = apiOf(cowshed)
  const pid = (await cowshed.daemonPid()) ?? 0

  report('at first', footprint(pid))
  await cycles(api, Number(values.calls) / 20)
  const warm = footprint(pid)
  report('warm', warm)
  for (const round of [1, 2, 3]) {
    await cycles(api, Number(values.calls) / 4)
    report(`round ${round}`, footprint(pid))
  }
  const after = footprint(pid)
  await manySheds(api, Number(values.sheds))
  report('with many sheds', footprint(pid))
  await measure('df', 20, 1, () => api('GET', '/api/system/df'))
  await measure('prune plan', 10, 1, () => api('POST', '/api/system/prune?dry_run=true&until=0s'))
  await measure('list', 50, 1, () => api('GET', '/api/sheds'))
  await measure('prune all', 1, 1, () => api('POST', '/api/system/prune?dry_run=false&until=0s'))
  report('in the end', footprint(pid))

  const errors = readFileSync(cowshed.layout.daemonLog, 'utf8')
    .split('\n')
    .filter((line) => /"level":(50|60)/.test(line))
  for (const line of errors.slice(0, 5)) console.log(`  log: ${line}`)
  const leaks = after.descriptors > warm.descriptors + 5 || after.rssMiB > warm.rssMiB * 1.5 + 50
  if (errors.length > 0 || leaks) process.exitCode = 1
  console.log(process.exitCode === 1 ? 'NOT GOOD' : 'good')
}

/** One mix of calls: looking, making and removing, accounting, and programs in the guest. */
async function cycles(api: Api, count: number): Promise<void> {
  await measure('list', count / 4, 20, () => api('GET', '/api/sheds'))
  await measure('get', count / 4, 20, () => api('GET', '/api/sheds/runs'))
  await measure('create + delete', count / 8, 4, async (at) => {
    await api('POST', '/api/sheds', { name: `s${at}`, image: 'mini:1', upper_bytes: 64 << 20, start: false })
    await api('DELETE', `/api/sheds/s${at}`)
  })
  await measure('df', count / 8, 4, () => api('GET', '/api/system/df'))
  await measure('exec true', count / 8, 20, () => execTrue(api.socketPath))
}

async function manySheds(api: Api, count: number): Promise<void> {
  await measure('create', count, 4, (at) =>
    api('POST', '/api/sheds', { name: `m${at}`, image: 'mini:1', upper_bytes: 64 << 20, start: false }),
  )
}

async function measure(what: string, count: number, atOnce: number, call: (at: number) => Promise<unknown>) {
  const times: number[] = []
  let next = 0
  const began = performance.now()
  const worker = async () => {
    for (let at = next++; at < count; at = next++) {
      const start = performance.now()
      await call(at)
      times.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  times.sort((a, b) => a - b)
  const at = (share: number) => (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(1)
  const rate = (times.length / ((performance.now() - began) / 1000)).toFixed(0)
  console.log(`  ${what}: ${times.length} × ${atOnce} at once, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${rate}/s`)
}

type Api = ReturnType<typeof apiOf>

function apiOf({ layout: { socket } }: Cowshed) {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  const call = async (method: string, path: string, body?: object): Promise<Reply> => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = body === undefined ? {} : { 'content-type': 'application/json', 'content-length': text.length }
    const reply = await new Promise<Reply>((resolve, reject) => {
      const sent = request({ socketPath: socket, agent, method, path, headers }, (response) => {
        let received = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          received += chunk
        })
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body: received })).once('error', reject)
      })
      sent.once('error', reject)
      sent.end(text)
    })
    if (reply.status >= 300) throw new Error(`${method} ${path}: ${reply.status} ${reply.body}`)
    return reply
  }
  return Object.assign(call, { socketPath: socket })
}

async function execTrue(socketPath: string): Promise<void> {
  const { WebSocket } = await import('ws')
  const socket = new WebSocket(`ws+unix://${socketPath}:/api/sheds/runs/exec`)
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => socket.send(JSON.stringify({ argv: ['true'] })))
    socket.on('message', (data, isBinary) => {
      if (isBinary) return
      const message = JSON.parse(String(data)) as { type: string; code?: unknown }
      if (message.type === 'error' || (message.type === 'exit' && message.code !== 0)) reject(new Error(String(data)))
    })
    socket.once('close', () => resolve()).once('error', reject)
  })
}

interface Footprint {
  readonly descriptors: number
  readonly rssMiB: number
}

function footprint(pid: number): Footprint {
  const [, kib = '0'] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length, rssMiB: Math.round(Number(kib) / 1024) }
}

function report(when: string, { descriptors, rssMiB }: Footprint): void {
  console.log(`${when}: ${descriptors} descriptors, ${rssMiB} MiB`)
}

await main()
