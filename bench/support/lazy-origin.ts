import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Digest, DigestHasher, dataLayout, writerVersion } from '../../src/base/index.ts'
import { attachLazy } from '../../src/daemon/lazy/attach-lazy.ts'
import type { AttachedLazy } from '../../src/daemon/lazy/attached-lazy.ts'
import { platformOf } from '../../src/formats/index.ts'
import { openRegistries } from '../../src/wires/index.ts'
import { startRegistry, type TestRegistry } from '../../test/support/registry.ts'
import { type BenchDaemon, startBenchDaemon } from './bench-daemon.ts'
import { type BenchImage, benchImage } from './bench-image.ts'
import { openLazyHost, recordBoots } from './lazy-host.ts'
import { mountNbd } from './mounted-nbd.ts'
import { startNbdkit } from './nbdkit.ts'
import { type ProgramName, programNames, programs, published } from './programs.ts'
import { runCommand } from './run-command.ts'

/** One read of a block device. */
export interface DeviceRead {
  readonly offset: number
  readonly length: number
}

interface Known {
  /** The lower as one blob that is not compressed, as others serve it. */
  readonly flat: { readonly digest: Digest; readonly bytes: number }
  readonly reads: Readonly<Record<ProgramName, readonly DeviceRead[]>>
}

/** A registry with an image that is published, and with its lower as it is. */
export interface LazyOrigin extends Known, AsyncDisposable {
  readonly registry: TestRegistry
  readonly image: BenchImage
}

/** Raised when what is published of an image changes, or what is recorded of it. */
const publication = 4

/** Made once per machine, beside the image; needs root. Its image has two boot traces for each program: of it in a mounted image, and in a VM. */
export async function lazyOrigin(say: (line: string) => void): Promise<LazyOrigin> {
  const image = await benchImage('programs')
  const name = `lazy-origin-${image.manifest.slice(7, 19)}-v${writerVersion}-${publication}`
  const directory = join(dirname(image.layout), name)
  const record = join(directory, 'origin.json')
  const text = await readFile(record, 'utf8').catch(() => undefined)
  if (text === undefined) {
    await rm(directory, { recursive: true, force: true })
    await mkdir(directory)
  }
  const registry = await startRegistry({ storage: join(directory, 'storage') })
  try {
    const known = text === undefined ? await make({ image, registry, say }) : (JSON.parse(text) as Known)
    if (text === undefined) await writeFile(record, JSON.stringify(known))
    return { ...known, image, registry, [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() }
  } catch (error) {
    await registry[Symbol.asyncDispose]()
    throw error
  }
}

interface Make {
  readonly image: BenchImage
  readonly registry: TestRegistry
  readonly say: (line: string) => void
}

async function make({ image, registry, say }: Make): Promise<Known> {
  const scratch = await mkdtemp('/tmp/cs-')
  try {
    say('the image is published, once for this machine')
    await using daemon = await startBenchDaemon({ data: join(scratch, 'd'), kernel: 'without kernel' })
    await daemon.call('POST', '/api/images/load', { path: image.layout, tag: 'programs:1' })
    await publish(daemon, registry, [])
    const path = join(scratch, 'flat')
    const data = join(scratch, 'host')
    const flat = await copyOut(data, registry, path)
    say('its lower is uploaded as it is')
    await upload(registry, path, flat)
    const reads = {} as Record<ProgramName, readonly DeviceRead[]>
    for (const name of programNames) reads[name] = await readsOf(path, name)
    say('it is published once more, with what programs and VMs read')
    const traces: string[] = []
    for (const [name, own] of Object.entries(reads))
      traces.push(await recordTrace({ data, registry, name, reads: own }))
    await using host = await openLazyHost(registry.host)
    await publish(daemon, registry, [...traces, ...(await recordBoots(host))])
    return { flat, reads }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function publish(daemon: BenchDaemon, { host }: TestRegistry, traces: readonly string[]): Promise<void> {
  const body = { ref: 'programs:1', destination: `${host}/${published}`, insecure: true, profile: 'plain', traces }
  await daemon.call('POST', '/api/images/publish', body)
}

export interface AttachPublished {
  /** The data directory. */
  readonly data: string
  /** The registry, or a link to it. */
  readonly host: string
  /** The boot trace. */
  readonly trace?: string | undefined
}

/** The image as `cowshed lazy serve` opens it, in this process. */
export async function attachPublished({ data, host, trace }: AttachPublished): Promise<AttachedLazy> {
  const registries = openRegistries()
  const attached = await attachLazy({
    ...{ layout: dataLayout(data), registries, reference: `${host}/${published}`, insecure: true, trace },
    platform: platformOf(process.arch),
    policy: { kind: 'hang' },
    listener: { degraded: () => {}, recovered: () => {} },
    onNotice: () => {},
    signal: new AbortController().signal,
  })
  return {
    ...attached,
    [Symbol.asyncDispose]: async () => {
      await attached[Symbol.asyncDispose]()
      await registries.close()
    },
  }
}

/** The lower, byte for byte. */
async function copyOut(data: string, { host }: TestRegistry, path: string): Promise<Known['flat']> {
  const hasher = new DigestHasher('sha256')
  await using attached = await attachPublished({ data, host })
  await using file = await open(path, 'w')
  const { lower } = attached
  for (let at = 0; at < lower.bytes; at += 4 << 20) {
    const bytes = await lower.read(at, Math.min(4 << 20, lower.bytes - at))
    hasher.update(bytes)
    await file.write(bytes)
  }
  return { digest: hasher.digest(), bytes: lower.bytes }
}

interface RecordTrace {
  readonly data: string
  readonly registry: TestRegistry
  readonly name: string
  readonly reads: readonly DeviceRead[]
}

/** @returns the path of the trace */
async function recordTrace({ data, registry, name, reads }: RecordTrace): Promise<string> {
  await using attached = await attachPublished({ data, host: registry.host, trace: name })
  for (const { offset, length } of reads) await attached.lower.read(offset, length)
  return dataLayout(data).bootTrace(attached.chunkIndex, name)
}

/** skopeo would compress it. */
async function upload({ url }: TestRegistry, path: string, { digest }: Known['flat']): Promise<void> {
  const started = await fetch(`${url}/v2/bench/flat/blobs/uploads/`, { method: 'POST' })
  const location = new URL(started.headers.get('location') ?? '', url)
  location.searchParams.set('digest', digest)
  const headers = ['-H', 'Content-Type: application/octet-stream']
  await runCommand('curl', ['-sSf', '-X', 'PUT', '-T', path, ...headers, location.href])
}

/** What a program reads of the device when nothing of it is in the page cache, in the order in which the device is asked. */
async function readsOf(flat: string, name: ProgramName): Promise<DeviceRead[]> {
  const scratch = await mkdtemp('/tmp/cs-')
  const [socket, log] = [join(scratch, 's'), join(scratch, 'log')]
  const server = await startNbdkit(socket, ['--filter=log', 'file', flat, `logfile=${log}`])
  try {
    await using mounted = await mountNbd(socket, scratch)
    await runProgram(mounted.root, name)
    const lines = (await readFile(log, 'utf8')).split('\n')
    return lines.flatMap((line) => {
      const [, offset, length] = /\bRead id=\d+ offset=(0x[0-9a-f]+) count=(0x[0-9a-f]+) /.exec(line) ?? []
      return offset === undefined ? [] : [{ offset: Number(offset), length: Number(length) }]
    })
  } finally {
    await server[Symbol.asyncDispose]()
    await rm(scratch, { recursive: true, force: true })
  }
}

/** Runs it in the image, to its end. */
export async function runProgram(root: string, name: ProgramName): Promise<void> {
  const child = spawn('chroot', [root, ...programs[name]], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${name} ended with code ${code}`)
}
