import { execFile, spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { memoryIn } from '../../src/base/index.ts'
import { connectQmp, type QmpConnection, sendFile } from '../../src/wires/index.ts'
import { agentOf, argsIn, type BareVm, type BareVmRecipe, endBareVm, ramIn } from './bare-vm.ts'

const run = promisify(execFile)

/** How QEMU alone gets the RAM: it maps the file that it was kept in, or that is copied to a tmpfs first, as cowshed does. */
export type BareRam = 'mapped' | 'copied'

export interface BareWake {
  readonly recipe: BareVmRecipe
  /** Of a shed that sleeps: its own directory. */
  readonly asleep: string
  /** For its disk and sockets, short; must not be there. */
  readonly directory: string
  /** On a tmpfs; must not be there. */
  readonly ramDirectory: string
  readonly ram: BareRam
}

/**
 * Copies the disk and the memory of a shed that sleeps, so that QEMU alone can go on from them.
 *
 * @returns the files to be read, and how to start it: up to an agent that can be asked, its clock as it was
 */
export async function prepareBareWake(wake: BareWake): Promise<{ files: string[]; start: () => Promise<BareVm> }> {
  const { asleep, directory } = wake
  await mkdir(directory, { mode: 0o700 })
  const from = memoryIn(join(asleep, 'memory'))
  const own = { mem: join(directory, 'mem.snap'), vm: join(directory, 'vm.snap') }
  for (const [source, to] of [
    [from.memSnap, own.mem],
    [from.vmSnap, own.vm],
    [join(asleep, 'upper.ext4'), join(directory, 'upper.ext4')],
  ] as const) {
    await run('cp', ['--sparse=always', source, to])
  }
  return { files: [own.mem, own.vm], start: async () => await startFrom(wake, own) }
}

async function startFrom(
  { recipe, directory, ramDirectory, ram }: BareWake,
  own: { readonly mem: string; readonly vm: string },
): Promise<BareVm> {
  const copy = join(ramDirectory, 'ram')
  if (ram === 'copied') {
    await mkdir(ramDirectory, { mode: 0o700 })
    await run('cp', ['--sparse=always', own.mem, copy])
  }
  const args = argsIn(recipe, directory).map((arg) =>
    ram === 'copied'
      ? arg.replace(ramIn(directory), copy)
      : arg.replace(ramIn(directory), own.mem).replace('"share":true', '"share":false'),
  )
  const incoming = args.includes('-incoming') ? [] : ['-S', '-incoming', 'defer']
  const child = spawn(recipe.command, [...args, ...incoming], { stdio: 'ignore' })
  const end = async () => {
    await endBareVm(child, directory)
    await endBareVm(child, ramDirectory)
  }
  try {
    const qmp = await qmpOf(join(directory, 's.qmp'))
    await goOn(qmp, { state: own.vm, socket: join(directory, 's.in') })
    const agent = await agentOf(join(directory, 's.agent'), recipe.own.key)
    return { agent, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

async function goOn(qmp: QmpConnection, { state, socket }: { state: string; socket: string }): Promise<void> {
  const capabilities = [{ capability: 'x-ignore-shared', state: true }]
  await qmp.execute('migrate-set-capabilities', { capabilities })
  await qmp.execute('migrate-incoming', { uri: `unix:${socket}` })
  await sendFile(state, socket)
  for (;;) {
    const { status } = (await qmp.execute('query-migrate')) as { readonly status?: string }
    if (status === 'completed') break
    if (status === 'failed') throw new Error('QEMU alone did not take the state')
    await sleep(1)
  }
  await qmp.execute('cont')
}

async function qmpOf(path: string): Promise<QmpConnection> {
  for (let waited = 0; ; waited += 2) {
    try {
      return await connectQmp(path, { signal: AbortSignal.timeout(30_000), onEvent: () => undefined })
    } catch (error) {
      if (waited > 30_000) throw error
      await sleep(2)
    }
  }
}
