import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseDigest } from '../../src/base/index.ts'
import type { ShedFailure } from '../../src/contract/index.ts'
import { cloneFile, isLocked, lockFile, processStartTime, runTool, spawnDetached } from '../../src/host/index.ts'
import { holdLazyDirectory, noteWrong } from '../../src/lazy/index.ts'
import { busyboxImageTools } from '../support/busybox-image.ts'
import { toolsFor, withSmallFilesystem } from '../support/filesystems.ts'
import { needs } from '../support/needs.ts'
import { type OpenedRooms, openRoomsOn } from '../support/open-rooms.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'

const tools = ['mke2fs', ...busyboxImageTools]

describe.runIf(needs({ tools }))('sheds whose records and VMs do not agree', () => {
  test('a shed without a usable record is told of, and goes by force alone, with the VMM that holds its lock', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    const { sheds, layout } = rooms
    await mkdir(layout.shed('odd').dir)
    const vmm = await holdLock(rooms, 'odd')
    const broken = { code: 'SHED_BROKEN', hint: expect.stringContaining('cowshed delete --force odd') }
    await expect(rooms.create('odd')).rejects.toMatchObject(broken)
    await expect(sheds.start('odd')).rejects.toMatchObject(broken)
    await expect(sheds.remove('odd', { force: false })).rejects.toMatchObject(broken)
    expect((await sheds.list()).map(({ name, status }) => [name, status])).toEqual([['odd', 'broken']])
    await expect(sheds.imageUsers()).rejects.toMatchObject({ code: 'RECORD_INVALID' })
    expect(processStartTime(vmm.pid)).toBe(vmm.startTime)

    await sheds.remove('odd', { force: true })
    expect(processStartTime(vmm.pid)).toBeUndefined()
    expect([await sheds.list(), await readdir(layout.sheds), await readdir(layout.staging)]).toEqual([[], [], []])
    await expect(sheds.remove('odd', { force: true })).rejects.toMatchObject({ code: 'SHED_NOT_FOUND' })
  })

  test('a VM that cannot be adopted is not started over, keeps its sockets, and goes with its shed by force', async () => {
    await using dir = await temporaryDirectory()
    let id = ''
    {
      await using rooms = await openRoomsOn(dir.path)
      await rooms.loadMini()
      await rooms.create('lost')
      id = (await rooms.sheds.get('lost')).id
    }
    await using before = await openRoomsOn(dir.path)
    await change(before, 'lost', { status: 'running' })
    const vmm = await holdLock(before, 'lost')
    // The record is of another process than the one that holds the lock.
    const machine = { driver: 'qemu', id, pid: 4194303, pidStartTime: '1', agentKey: '0'.repeat(32) }
    const more = { agentSocket: '/nowhere', controlSocket: '/nowhere', acceleration: 'tcg', driverVersion: '8' }
    await writeFile(before.layout.shed('lost').machine, JSON.stringify({ ...machine, ...more }))
    await writeFile(join(before.runDirectory, `${id}.agent`), '')
    await writeFile(join(before.runDirectory, '0123456789ab.agent'), '')

    await using rooms = await openRoomsOn(dir.path)
    expect(await readdir(rooms.runDirectory)).toEqual([`${id}.agent`])
    expect(rooms.events.read({ limit: 1 })[0]).toMatchObject({ type: 'shed.unsettled', subject: 'lost' })
    expect((await rooms.sheds.get('lost')).status).toBe('running')
    for (const verb of ['start', 'reset'] as const) {
      await expect(rooms.sheds[verb]('lost')).rejects.toMatchObject({ code: 'MACHINE_FAILED' })
    }
    await expect(rooms.sheds.remove('lost', { force: false })).rejects.toMatchObject({ code: 'MACHINE_FAILED' })
    expect(processStartTime(vmm.pid)).toBe(vmm.startTime)
    await rooms.sheds.remove('lost', { force: true })
    expect(processStartTime(vmm.pid)).toBeUndefined()
    expect(await rooms.sheds.list()).toEqual([])
  })

  test('a record that speaks of a dead VM is not believed, and settled by the next verb', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    await rooms.loadMini()
    await rooms.create('s')
    const { machine } = rooms.layout.shed('s')
    const cases = [
      ['running', '{}', 'crashed'],
      // Who ends a VM on purpose removes machine.json first.
      ['running', undefined, 'stopped'],
      ['starting', '{}', 'stopped'],
      ['stopping', '{}', 'stopped'],
    ] as const
    for (const [status, machineJson, shown] of cases) {
      await change(rooms, 's', { status })
      if (machineJson !== undefined) await writeFile(machine, machineJson)
      expect((await rooms.sheds.get('s')).status, status).toBe(shown)
      expect((await rooms.sheds.list()).map((shed) => shed.status)).toEqual([shown])
      expect((await rooms.sheds.stop('s', { timeout_ms: 0 })).status).toBe(shown)
      expect(JSON.parse(await readFile(rooms.layout.shed('s').record, 'utf8'))).toMatchObject({ status: shown })
      await expect(readFile(machine)).rejects.toThrow('ENOENT')
    }
    await change(rooms, 's', { status: 'running' })
    await expect(rooms.sheds.start('s')).rejects.toMatchObject({ code: 'KERNEL_NOT_FOUND' })
    expect((await rooms.sheds.get('s')).status).toBe('stopped')
    // What a create or a delete has left half done is no shed.
    for (const status of ['creating', 'deleting']) {
      await change(rooms, 's', { status })
      await expect(rooms.sheds.start('s')).rejects.toMatchObject({ code: 'SHED_NOT_FOUND' })
      await rooms.create('s')
      expect((await rooms.sheds.get('s')).status).toBe('stopped')
    }
  })

  test('twenty creates at once are no leak to Node, though all of them listen for the end of the daemon', async () => {
    const warnings: Error[] = []
    const warn = (warning: Error) => warnings.push(warning)
    process.on('warning', warn)
    onTestFinished(() => void process.off('warning', warn))
    await using dir = await temporaryDirectory()
    const names = Array.from({ length: 20 }, (_, number) => `shed-${number}`)
    {
      await using rooms = await openRoomsOn(dir.path)
      await rooms.loadMini()
      await Promise.all(names.map((name) => rooms.create(name)))
      expect((await rooms.sheds.list()).map(({ name }) => name).sort()).toEqual([...names].sort())
    }
    expect(warnings).toEqual([])
  })

  test('each clone is one line of the log: strategy, source, target and size', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    const { layout } = rooms
    await rooms.loadMini()
    const lines: string[] = []
    rooms.events.subscribe(({ type, message }) => type === 'disk.cloned' && lines.push(message))
    await rooms.create('web')
    await rooms.sheds.reset('web')
    const { strategy } = await cloneFile(layout.upperTemplate(64 * 2 ** 20), join(layout.root, 'clone'))
    const line = `rootfs strategy=${strategy} src=${layout.upperTemplate(64 * 2 ** 20)} dst=${layout.shed('web').upper} logical_bytes=67108864`
    expect(lines).toEqual([line, line])
  })

  test('a create that cannot boot for want of a kernel builds nothing first', async () => {
    await using dir = await temporaryDirectory()
    await using rooms = await openRoomsOn(dir.path)
    await rooms.loadMini()
    const { layout } = rooms
    const before = await readdir(layout.cache, { recursive: true })
    const create = rooms.sheds.create({
      ...{ name: 'a', image: 'mini:1', cpus: 1, memory_bytes: 2 ** 28, upper_bytes: 2 ** 26, rootfs: 'erofs' },
      ...{ network: 'none', env: {}, labels: {}, volumes: [], secrets: [], start: true, pull: 'never' },
    })
    await expect(create).rejects.toMatchObject({ code: 'KERNEL_NOT_FOUND' })
    expect(await readdir(layout.cache, { recursive: true })).toEqual(before)
  })

  test('after its end nothing begins', async () => {
    await using dir = await temporaryDirectory()
    const rooms = await openRoomsOn(dir.path)
    await rooms.loadMini()
    const created = Promise.allSettled(['a', 'b', 'c'].map((name) => rooms.create(name)))
    await rooms[Symbol.asyncDispose]()
    const outcomes = await created
    await expect(rooms.create('d')).rejects.toMatchObject({ code: 'CANCELLED' })
    const made = outcomes.flatMap(({ status }, at) => (status === 'fulfilled' ? ['abc'.charAt(at)] : []))
    expect((await readdir(rooms.layout.sheds)).sort()).toEqual(made)
    expect(await readdir(rooms.layout.staging)).toEqual([])
  })
})

describe.runIf(needs({ tools }))('sheds of a lower that could not be verified, and is wrong', () => {
  /** Sheds in the states that a daemon left them in, and what says that their lower is wrong. */
  async function left(directory: string, states: Readonly<Record<string, object>>): Promise<void> {
    await using rooms = await openRoomsOn(directory)
    await rooms.loadMini()
    await rooms.create('other')
    const chunkIndex = parseDigest((await rooms.sheds.get('other')).image.manifest_digest)
    const lazy = { reference: 'app:1', chunk_index_digest: chunkIndex, profile: 'plain', plain: true, unverified: true }
    for (const [name, fields] of Object.entries(states)) {
      await rooms.create(name)
      await change(rooms, name, { lazy, ...fields })
    }
    const { data } = rooms.layout.lazyLower(chunkIndex)
    using _held = await holdLazyDirectory(rooms.layout, chunkIndex)
    await writeFile(data, 'fetched')
    await noteWrong(rooms.layout, chunkIndex, 'it is another')
  }

  const statuses = async ({ sheds }: OpenedRooms) =>
    Object.fromEntries((await sheds.list()).map(({ name, status }) => [name, status]))
  const told = ({ events }: OpenedRooms) => events.read({ limit: 100 }).map(({ type }) => type)

  test('fail with the next daemon, whatever they were doing, and what was fetched goes after that', async () => {
    await using dir = await temporaryDirectory()
    await left(dir.path, {
      stopped: {},
      crashed: { status: 'crashed' },
      cold: { status: 'cold' },
      // As it was verified by somebody else's word, say.
      verified: { lazy: undefined },
    })
    await using rooms = await openRoomsOn(dir.path)
    await expect.poll(() => readdir(rooms.layout.lazyLowers), { timeout: 60_000 }).toEqual([])
    const failed = { cold: 'failed', crashed: 'failed', stopped: 'failed' }
    expect(await statuses(rooms)).toEqual({ ...failed, other: 'stopped', verified: 'stopped' })
    expect(await rooms.sheds.get('cold')).toMatchObject({
      status_reason: 'it is another',
      failure: { code: 'DIGEST_MISMATCH', message: 'it is another' },
    })
    expect(told(rooms).filter((type) => type === 'lazy.wrong' || type === 'shed.failed')).toHaveLength(4)
    const refused = { code: 'SHED_FAILED', hint: expect.stringContaining('cowshed reset cold') }
    await expect(rooms.sheds.start('cold', { coldBoot: true })).rejects.toMatchObject(refused)
    await expect(rooms.sheds.wake('cold')).rejects.toMatchObject(refused)
    await expect(rooms.sheds.fork('cold', { name: 'two' })).rejects.toMatchObject(refused)
    await expect(rooms.sheds.snapshots.create({ name: 's', shed: 'cold' })).rejects.toMatchObject(refused)
    const { failure, lazy, status } = await rooms.sheds.reset('cold')
    expect([failure, lazy?.unverified, status]).toEqual([undefined, true, 'stopped'])
    const { items } = await rooms.usage.prune({ dry_run: false, until_ms: 0, log_tail_bytes: 0, scope: ['instances'] })
    expect(items.map(({ name }) => name)).toContain('crashed')
  })

  test('and a VM of theirs that was to be ended is ended, though a kill came between that and its record', async () => {
    await using dir = await temporaryDirectory()
    await left(dir.path, { web: { status: 'failed', failure: failureNow() } })
    await using before = await openRoomsOn(dir.path)
    const vmm = await holdLock(before, 'web')
    await using rooms = await openRoomsOn(dir.path)
    expect(processStartTime(vmm.pid)).toBeUndefined()
    expect((await statuses(rooms)).web).toBe('failed')
  })

  test('and nothing goes that says so while one of the sheds cannot be read', async () => {
    await using dir = await temporaryDirectory()
    await left(dir.path, { web: {} })
    await mkdir(join(dir.path, 'data/sheds/odd'))
    {
      await using rooms = await openRoomsOn(dir.path)
      await expect.poll(() => told(rooms), { timeout: 60_000 }).toContain('lazy.unsettled')
      expect(await statuses(rooms)).toMatchObject({ web: 'failed', odd: 'broken' })
      expect(await readdir(rooms.layout.lazyLowers)).toHaveLength(1)
      await rooms.sheds.remove('odd', { force: true })
    }
    await using rooms = await openRoomsOn(dir.path)
    await expect.poll(() => readdir(rooms.layout.lazyLowers), { timeout: 60_000 }).toEqual([])
  })

  test.runIf(needs({ root: true }))('and one that cannot be failed keeps no other from it', async () => {
    await using dir = await temporaryDirectory()
    await left(dir.path, { first: { status: 'cold' }, second: {} })
    // Its memory cannot go.
    const memory = join(dir.path, 'data/sheds/first/memory')
    await mkdir(memory)
    await runTool('mount', ['-t', 'tmpfs', 'none', memory])
    await using _mounted = { [Symbol.asyncDispose]: async () => void (await runTool('umount', [memory])) }
    await using rooms = await openRoomsOn(dir.path)
    await expect.poll(() => told(rooms), { timeout: 60_000 }).toContain('lazy.unsettled')
    expect(await statuses(rooms)).toMatchObject({ first: 'failed', second: 'failed' })
  })
})

test.runIf(needs({ root: true, tools: [...tools, ...toolsFor('ext4')] }))(
  'on a full disk a daemon starts, shows what is true, and deletes',
  async () => {
    await withSmallFilesystem('ext4', 64 << 20, async (directory, fs) => {
      {
        await using rooms = await openRoomsOn(directory)
        await rooms.loadMini()
        for (const name of ['a', 'b', 'c']) await rooms.create(name)
        await change(rooms, 'b', { status: 'running' })
        await writeFile(rooms.layout.shed('b').machine, '{}')
      }
      await fs.fill({ leave: '0' })
      await using rooms = await openRoomsOn(directory)
      expect((await rooms.sheds.list()).map(({ name, status }) => [name, status])).toEqual([
        ['a', 'stopped'],
        ['b', 'crashed'],
        ['c', 'stopped'],
      ])
      await expect(rooms.create('d')).rejects.toMatchObject({ code: 'NO_SPACE' })
      await expect(rooms.sheds.reset('a')).rejects.toMatchObject({ code: 'NO_SPACE' })
      expect((await rooms.usage.df()).totals.sheds.stopped).toBe(3)
      await rooms.sheds.remove('a', { force: false })
      await rooms.sheds.remove('b', { force: true })
      const { items } = await rooms.usage.prune({ dry_run: false, until_ms: 0, log_tail_bytes: 0 })
      expect(items.map(({ name }) => name)).toEqual(['c', 'mini:1'])
      expect(await rooms.sheds.list()).toEqual([])
      expect(await readdir(rooms.layout.staging)).toEqual([])
    })
  },
)

/** Starts a process that holds a shed's lock as its VMM does. */
async function holdLock({ layout }: OpenedRooms, name: string) {
  const { vmmLock, vmmLog } = layout.shed(name)
  using lock = await lockFile(vmmLock, { mode: 'exclusive', leftToChildren: true })
  if (lock === undefined) throw new Error('it is held')
  const child = await spawnDetached({ command: 'sleep', args: ['300'], logPath: vmmLog, inherit: [lock.fd] })
  lock.release()
  expect(await isLocked(vmmLock)).toBe(true)
  return child
}

async function change({ layout }: OpenedRooms, name: string, fields: object): Promise<void> {
  const path = layout.shed(name).record
  await writeFile(path, JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), ...fields }))
}

function failureNow(): ShedFailure {
  return { code: 'DIGEST_MISMATCH', message: 'it is another', at: new Date().toISOString() }
}
