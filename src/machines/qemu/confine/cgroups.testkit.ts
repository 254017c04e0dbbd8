/**
 * A program that tries what cgroups of version 2 do for VMs, on whatever kernel it is run: as root, where they are mounted. It needs nothing but Node, `sh`, `sleep`
 * and `dd`. Ends with 0, and prints what was bounded (`bounded memory cpu pids`); where memory is, and there is no swap, `ended alone` as well.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cgroupMount } from './cgroup-mount.ts'
import { confinedCommand } from './confined-command.ts'
import { boundControllers, cgroupLimits, makeVmCgroup, removeVmCgroup, sweepVmCgroups } from './vm-cgroup.ts'

const mib = 2 ** 20
const machine = {
  runDirectory: '/run/cowshed/test-cgroups',
  cpus: 2,
  memoryBytes: 16 * mib,
  acceleration: 'kvm',
} as const
const mount = cgroupMount() ?? assert.fail('no cgroups of version 2 are mounted here')
const ours = join(mount, 'cowshed/test-cgroups')

const [hog, neighbour, empty] = [await make('hog'), await make('neighbour'), await make('empty')]
await checkBounds(hog)
const beside = await run(neighbour, 'exec sleep 300')
const endsAlone = existsSync(join(hog, 'memory.max')) && (await readFile('/proc/swaps', 'utf8')).split('\n').length <= 2
if (endsAlone) await overrun()
await sweepVmCgroups(machine.runDirectory)
assert.deepEqual(await directoriesIn(ours), ['neighbour'], 'a sweep takes those alone that nobody is in')
assert.equal(existsSync(empty), false)
await end(beside)
await removeVmCgroup({ id: 'neighbour', controlSocket: join(machine.runDirectory, 'neighbour.qmp') })
assert.deepEqual(await directoriesIn(ours), [])
await sweepVmCgroups(machine.runDirectory)
assert.equal(existsSync(ours), false)

async function make(id: string): Promise<string> {
  const path = await makeVmCgroup({ ...machine, id })
  assert.equal(path, join(ours, id))
  return join(ours, id)
}

/** What is written is what is there, as far as this kernel has controllers of version 2 to give. */
async function checkBounds(cgroup: string): Promise<void> {
  const files = await readdir(cgroup)
  const limits = Object.entries(cgroupLimits({ ...machine, id: '' })).filter(([name]) => files.includes(name))
  for (const [name, limit] of limits) assert.equal((await textOf(join(cgroup, name))).trim(), limit, name)
  const bounded = ['memory', 'cpu', 'pids'].filter((name) => files.includes(`${name}.max`))
  assert.deepEqual(await boundControllers(), bounded)
  console.log(`bounded ${bounded.join(' ')}`)
}

/** Who takes more memory than his bound is ended, with all that is in his cgroup, and nobody else is. */
async function overrun(): Promise<void> {
  const inside = await run(hog, 'exec sleep 300')
  const greedy = await run(hog, `exec dd if=/dev/zero of=/dev/null bs=${400 * mib} count=1`)
  assert.deepEqual(await Promise.all([signalOf(greedy), signalOf(inside)]), ['SIGKILL', 'SIGKILL'])
  assert.match(await textOf(join(hog, 'memory.events')), /^oom_group_kill 1$/m)
  assert.match(await textOf(join(neighbour, 'memory.events')), /^oom_kill 0$/m)
  assert.deepEqual([beside.exitCode, beside.signalCode], [null, null])
  console.log('ended alone')
}

/** A program in a cgroup, which it is with its first step. */
async function run(cgroup: string, script: string): Promise<ChildProcess> {
  const { command, args } = confinedCommand({ command: 'sh', args: ['-c', script], acceleration: 'tcg', cgroup })
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  while (!(await textOf(join(cgroup, 'cgroup.procs'))).split('\n').includes(`${child.pid}`)) {
    if (hasEnded(child)) break
    await sleep(5)
  }
  return child
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await signalOf(child)
}

async function signalOf(child: ChildProcess): Promise<NodeJS.Signals | null> {
  while (!hasEnded(child)) await sleep(5)
  return child.signalCode
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

async function directoriesIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8')
}
