/**
 * A program that says of itself to be QEMU: it takes the same command line, speaks to the same monitor, and its guest's agent answers, but there is no guest. It starts
 * in a fraction of a second, and what a guest does with its RAM and its disk is this: both have a number, and each time that it goes on or is about to be paused
 * it writes the next one to both. So whoever resumes RAM over a disk that it does not belong to is found out: it then says WRONG RESUME on stderr.
 * After SIGUSR2 its monitor is silent for ever; it says `mute` on stderr when that begins.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { agentLimits, decodeHostMessage, encodeAgentMessage, FrameParser } from '../../src/formats/agent/index.ts'

const args = process.argv.slice(2)
if (args.includes('--version')) {
  writeSync(1, 'QEMU emulator version 7.2.22\n')
  process.exit()
}

/** The descriptor that an option of the command line names. */
function descriptorIn(pattern: RegExp): number {
  const found = args.map((arg) => pattern.exec(arg)?.[1]).find((digits) => digits !== undefined)
  if (found === undefined) throw new Error(`nothing of ${pattern} in ${args.join(' ')}`)
  return Number(found)
}

/** Of ext4, nobody uses the first 1024 bytes. */
const disk = descriptorIn(/"filename":"\/dev\/fdset\/(\d+)"/)
const ram = openSync(/"mem-path":"([^"]+)"/.exec(args.join(' '))?.[1] ?? '', 'r+')
/** What a machine has written to RAM that only began with a file is in no file. */
let privateRam = args.join(' ').includes('"share":false') ? numberAt(ram) : undefined

function numberAt(fd: number): number {
  const bytes = Buffer.alloc(8)
  readSync(fd, bytes, 0, bytes.length, 0)
  return Number(bytes.readBigUInt64LE())
}

function writeAt(fd: number, number: number): void {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(number))
  writeSync(fd, bytes, 0, bytes.length, 0)
}

function inRam(): number {
  return privateRam ?? numberAt(ram)
}

function writeRam(number: number): void {
  if (privateRam === undefined) writeAt(ram, number)
  else privateRam = number
}

function write(number: number): void {
  writeAt(disk, number)
  writeRam(number)
}

let status: 'running' | 'paused' | 'inmigrate' | 'postmigrate' = 'running'
if (args.includes('-incoming')) status = 'inmigrate'
else write(numberAt(disk) + 1)

function goOn(): void {
  if (status === 'running') return
  const onDisk = numberAt(disk)
  if (inRam() !== onDisk) writeSync(2, `WRONG RESUME: ${inRam()} in RAM, ${onDisk} on disk\n`)
  write(onDisk + 1)
  status = 'running'
}

function pause(): void {
  if (status !== 'running') return
  write(numberAt(disk) + 1)
  status = 'paused'
}

type Say = (message: object) => void

/** Whether a migration takes RAM along. */
let isWithRam = true

interface Given {
  readonly uri?: string
  readonly capabilities?: readonly { readonly capability: string; readonly state: boolean }[]
}

function saveState(path: string, say: Say): void {
  const to = connect(path, () => to.end(`${isWithRam ? 'machine' : 'state'} at ${inRam()}`))
  to.on('close', () => {
    if (to.errored === null) status = 'postmigrate'
    say(migration(to.errored === null ? 'completed' : 'failed'))
  })
  // Who listened there may have died.
  to.on('error', () => to.destroy())
}

function restoreState(path: string, say: Say): void {
  const server = createServer((from) => {
    let text = ''
    from.on('data', (chunk) => {
      text += chunk.toString()
    })
    from.on('end', () => {
      server.close()
      const [, taken] = /^machine at (\d+)$/.exec(text) ?? []
      if (isWithRam && taken !== undefined) writeRam(Number(taken))
      else if (text !== `state at ${inRam()}`) {
        writeSync(2, `error while loading state: ${JSON.stringify(text)}\n`)
        process.exit(1)
      }
      status = 'paused'
      say(migration('completed'))
    })
  })
  server.listen(path)
}

function migration(how: string): object {
  return { event: 'MIGRATION', data: { status: how }, timestamp: { seconds: 1, microseconds: 0 } }
}

function answer(command: string, { uri = '', capabilities = [] }: Given, say: Say): object {
  const ignoring = capabilities.find(({ capability }) => capability === 'x-ignore-shared')
  if (ignoring !== undefined) isWithRam = !ignoring.state
  const path = uri.replace('unix:', '')
  if (command === 'query-status') return { status, running: status === 'running' }
  if (command === 'stop') pause()
  if (command === 'cont') goOn()
  if (command === 'migrate') saveState(path, say)
  if (command === 'migrate-incoming') restoreState(path, say)
  return {}
}

let isMute = false
process.on('SIGUSR2', () => {
  isMute = true
  writeSync(2, 'mute\n')
})

createServer((socket) => {
  const say: Say = (message) => {
    if (!isMute) socket.write(`${JSON.stringify(message)}\r\n`)
  }
  say({ QMP: { version: { qemu: { major: 7, minor: 2, micro: 22 }, package: 'fake' }, capabilities: [] } })
  socket.on('error', () => socket.destroy())
  let rest = ''
  socket.on('data', (chunk) => {
    const lines = (rest + chunk.toString()).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const { execute, arguments: given, id } = JSON.parse(line)
      say({ return: answer(execute, given, say), id })
    }
  })
  tellShutdown = () =>
    say({ event: 'SHUTDOWN', data: { reason: 'guest-shutdown' }, timestamp: { seconds: 1, microseconds: 0 } })
}).listen({ fd: descriptorIn(/^socket,id=qmp,fd=(\d+)/) })

let tellShutdown = () => {}

createServer((socket) => {
  socket.on('error', () => socket.destroy())
  const parser = new FrameParser()
  let begun = Buffer.alloc(0)
  let isGreeted = false
  socket.on('data', (chunk: Buffer) => {
    if (status !== 'running') return
    if (isGreeted) return serve(socket, parser, chunk)
    begun = Buffer.concat([begun, chunk])
    const [key, all] = [agentLimits.keyBytes, agentLimits.keyBytes + agentLimits.nonceBytes]
    if (begun.length < all) return
    isGreeted = true
    socket.write(begun.subarray(key, all))
    const bootId = '00000000-0000-4000-8000-000000000000'
    socket.write(encodeAgentMessage({ kind: 'hello', protocol: 1, agentVersion: 'fake', bootId }))
    socket.write(encodeAgentMessage({ kind: 'ready', uptimeMs: 1 }))
    serve(socket, parser, begun.subarray(all))
  })
}).listen({ fd: descriptorIn(/^socket,id=agent,fd=(\d+)/) })

function serve(socket: Socket, parser: FrameParser, bytes: Buffer): void {
  for (const frame of parser.push(bytes)) {
    const { kind, channel } = decodeHostMessage(frame)
    socket.write(encodeAgentMessage({ kind: 'ok', channel, reply: Buffer.alloc(0) }))
    if (kind !== 'poweroff') continue
    write(numberAt(disk) + 1)
    closeSync(disk)
    tellShutdown()
    setTimeout(() => process.exit(), 1)
  }
}
