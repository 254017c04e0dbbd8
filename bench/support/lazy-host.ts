import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dataLayout, parseDigest } from '../../src/base/index.ts'
import type { ListLazyReply } from '../../src/contract/index.ts'
import { type BenchDaemon, image, startBenchDaemon } from './bench-daemon.ts'
import { type ProgramName, programNames, programs, published, vmTrace } from './programs.ts'

/** A host with a kernel and a daemon, to which the image `programs` is new. */
export interface LazyHost extends AsyncDisposable {
  readonly daemon: BenchDaemon
  /** Makes the shed `web` of the image, runs a program in it and removes it. @returns milliseconds until the program has ended, which is as soon as it has written something */
  firstOutput(options: FirstOutput): Promise<number>
  /** Makes the host as it was before it had seen the image: of one that was read in part. */
  forget(): Promise<void>
}

export interface FirstOutput {
  readonly name: ProgramName
  readonly pull: 'lazy' | 'whole'
  /** A name that no trace has: nothing is fetched ahead. */
  readonly trace?: string | undefined
}

/** @param registry `127.0.0.1:port` of it, or of a link to it */
export async function openLazyHost(registry: string): Promise<LazyHost> {
  // Short, and not below $TMPDIR: a socket's path has 107 bytes.
  const directory = await mkdtemp('/tmp/cs-')
  const layout = dataLayout(join(directory, 'd'))
  await mkdir(layout.root)
  await writeFile(layout.config, `[registries."${registry}"]\nplain_http = true\n`)
  const ref = `${registry}/${published}`
  try {
    const daemon = await startBenchDaemon({ data: layout.root, kernel: 'with kernel' })
    const host: LazyHost = {
      daemon,
      firstOutput: (options) => firstOutput(daemon, { ref, ...options }),
      forget: () => forget(daemon, ref),
      async [Symbol.asyncDispose]() {
        await daemon[Symbol.asyncDispose]()
        await rm(directory, { recursive: true, force: true })
      },
    }
    // The first boot probes the acceleration, and puts the kernel into the page cache.
    await orDispose(host, () => daemon.call('POST', '/api/sheds', { name: 'web', image }))
    await removeShed(daemon)
    return host
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

/** Boots each program once, so that there is a trace of it. @returns the paths of the traces, which go with the host */
export async function recordBoots({ daemon, firstOutput }: LazyHost): Promise<string[]> {
  const paths: string[] = []
  for (const name of programNames) {
    await firstOutput({ name, pull: 'lazy', trace: vmTrace(name) })
    const [lower] = await unserved(daemon)
    const chunkIndex = parseDigest(lower?.chunk_index_digest ?? '')
    paths.push(daemon.layout.bootTrace(chunkIndex, vmTrace(name)))
  }
  return paths
}

async function firstOutput(
  daemon: BenchDaemon,
  { ref, name, ...how }: FirstOutput & { readonly ref: string },
): Promise<number> {
  const begun = performance.now()
  await daemon.call('POST', '/api/sheds', { name: 'web', image: ref, ...how })
  const code = await daemon.exec('web', programs[name])
  const ms = performance.now() - begun
  if (code !== 0) throw new Error(`${name} ended with code ${code}`)
  await removeShed(daemon)
  return ms
}

async function removeShed(daemon: BenchDaemon): Promise<void> {
  await daemon.call('DELETE', '/api/sheds/web?force=true')
}

async function forget(daemon: BenchDaemon, ref: string): Promise<void> {
  await unserved(daemon)
  await daemon.call('DELETE', `/api/images?ref=${encodeURIComponent(ref)}`)
  await daemon.call('POST', '/api/system/prune?scope=lazy&dry_run=false')
  if ((await listLazy(daemon)).length > 0) throw new Error('something is left of an image')
}

/** A lower that nobody reads is served for some seconds more. */
async function unserved(daemon: BenchDaemon): Promise<ListLazyReply['images']> {
  for (;;) {
    const images = await listLazy(daemon)
    if (images.every(({ status }) => status !== 'served')) return images
    await sleep(50)
  }
}

async function listLazy(daemon: BenchDaemon): Promise<ListLazyReply['images']> {
  return (await daemon.call<ListLazyReply>('GET', '/api/lazy')).images
}

async function orDispose(owned: AsyncDisposable, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    await owned[Symbol.asyncDispose]()
    throw error
  }
}
