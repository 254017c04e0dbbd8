import { createHash } from 'node:crypto'
import { access, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Machine, MachineSpec, StateIdentity } from '../../src/machines/index.ts'
import type { AgentConnection } from '../../src/wires/index.ts'
import type { Suite } from './driver.ts'
import { run, type Workbench } from './workbench.ts'

interface Saved {
  readonly spec: MachineSpec
  readonly ram: string
  readonly state: string
  readonly belongsTo: StateIdentity
}

/** RAM that is a file, states that are saved, and machines that go on from them. */
export function describeMemory(suite: Suite): void {
  const identify = (spec: MachineSpec) => suite.material().driver.identify(spec)

  /** Boots a machine, leaves a mark in its RAM alone, saves its state and ends it. */
  const saved = async (place: Workbench): Promise<Saved> => {
    const ram = join(place.directory, 'ram')
    const { machine, agent, spec } = await place.boot({ memory: { path: ram, mapping: 'shared' } })
    await mark(agent, 'before')
    await machine.pause()
    const state = join(place.directory, 'state')
    await machine.saveState(state)
    expect((await stat(state)).mode & 0o777).toBe(0o600)
    expect((await stat(ram)).mode & 0o777).toBe(0o600)
    await machine.kill()
    return { spec, ram, state, belongsTo: await identify(spec) }
  }
  const again = (place: Workbench, { spec, ram, state, belongsTo }: Saved, change: Partial<MachineSpec> = {}) =>
    place.start({ ...spec, memory: { path: ram, mapping: 'shared' }, restore: { state, belongsTo }, ...change })

  describe('a machine whose RAM is a file', () => {
    test('goes on when its state was saved or could not be, and goes on from it when it is dead, with its programs and its disk', async () => {
      await using place = await suite.bench()
      const ram = join(place.directory, 'ram')
      const { machine, agent, spec } = await place.boot({ memory: { path: ram, mapping: 'shared' } })
      await mark(agent, 'first')
      await expect(machine.saveState(join(place.directory, 'running'))).rejects.toMatchObject({
        code: 'MACHINE_FAILED',
        message: expect.stringContaining('paused'),
      })
      await machine.pause()
      await expect(machine.saveState('/dev/full/state')).rejects.toMatchObject({ code: 'IO_FAILED' })
      const taken = join(place.directory, 'taken')
      await writeFile(taken, 'of somebody else')
      await expect(machine.saveState(taken)).rejects.toMatchObject({ code: 'FILE_EXISTS' })
      expect(await readFile(taken, 'utf8')).toBe('of somebody else')
      await machine.saveState(join(place.directory, 'unused'))
      await machine.resume()
      expect(await marks(agent)).toBe('first\n')
      await run(agent, 'sh', '-c', 'echo second >> /dev/shm/mark; echo on the disk > /root/kept')
      await machine.pause()
      const state = join(place.directory, 'state')
      await machine.saveState(state)
      await machine.kill()

      const restored = await again(place, { spec, ram, state, belongsTo: await identify(spec) })
      expect(restored.record.memory).toEqual({ path: ram, mapping: 'shared' })
      const other = await resumed(place, restored)
      expect(await marks(other)).toBe('first\nsecond\n')
      expect((await run(other, 'cat', '/root/kept')).stdout).toBe('on the disk\n')
      expect((await run(other, 'sh', '-c', 'echo more > /root/kept; sync; cat /root/kept')).stdout).toBe('more\n')
      await restored.pause()
      await restored.saveState(join(place.directory, 'third'))
      await restored.saveState(join(place.directory, 'fourth'))
      await restored.resume()
      await other.poweroff()
      expect(await restored.exited).toMatchObject({ kind: 'powerdown' })
    })

    test('can be mapped by many that do not see each other, and is handed over by one to a file of its own', async () => {
      await using place = await suite.bench()
      const from = await saved(place)
      const before = await digest(from.ram)
      const fork = async (spec: MachineSpec) =>
        await again(place, { ...from, spec }, { memory: { path: from.ram, mapping: 'private' } })
      const [ours, theirs] = [
        await place.spec({ agentKey: from.spec.agentKey }),
        await place.spec({ agentKey: from.spec.agentKey }),
      ]
      const [one, two] = [await fork(ours), await fork(theirs)]
      const silent = place.connect(one.record)
      // Restored is not resumed.
      expect(await Promise.race([silent, new Promise((resolve) => setTimeout(resolve, 300, 'nothing'))])).toBe(
        'nothing',
      )
      await one.resume()
      const [agent, other] = [await silent, await resumed(place, two)]
      expect([await marks(agent), await marks(other)]).toEqual(['before\n', 'before\n'])
      await mark(agent, 'one')
      await mark(other, 'two')
      expect([await marks(agent), await marks(other)]).toEqual(['one\n', 'two\n'])
      await two.kill()

      await one.pause()
      // Its RAM is nowhere but in itself: there is nothing that this state could go with.
      await expect(one.saveState(join(place.directory, 'no'))).rejects.toMatchObject({ code: 'MACHINE_FAILED' })
      const memory = { path: join(place.directory, 'taken'), mapping: 'shared' } as const
      const heir = await place.start(await place.spec({ drives: ours.drives, memory, restore: { takeOver: one } }))
      const state = join(place.directory, 'taken-state')
      await heir.saveState(state)
      await heir.kill()
      // The source goes on as if nothing had been.
      await one.resume()
      expect(await marks(agent)).toBe('one\n')
      await one.kill()
      expect(await digest(from.ram)).toBe(before)
      const restored = await again(place, { ...from, spec: ours, ram: memory.path, state })
      expect(await marks(await resumed(place, restored))).toBe('one\n')
    })

    test('is not restored from what is damaged or of another machine', async () => {
      await using place = await suite.bench()
      const from = await saved(place)
      const { belongsTo, spec } = from
      const starts: string[] = []
      const refused = async (other: Saved, change: Partial<MachineSpec> = {}) =>
        await expect(
          suite.material().driver.start(
            {
              ...other.spec,
              memory: { path: other.ram, mapping: 'shared' },
              restore: { state: other.state, belongsTo: other.belongsTo },
              ...change,
            },
            async ({ id }) => void starts.push(id),
          ),
        ).rejects
      const mismatch = (word: string) => ({ code: 'STATE_MISMATCH', message: expect.stringContaining(word) })
      const older = { ...from, belongsTo: { ...belongsTo, driver_version: '7.2.0' } }
      await (await refused(older)).toMatchObject(mismatch('driver_version'))
      await (await refused(from, { cpus: spec.cpus + 1 })).toMatchObject(mismatch('cpus'))
      await (await refused(from, { drives: [...spec.drives].reverse() })).toMatchObject(mismatch('drives'))
      await (await refused(from, { memoryBytes: spec.memoryBytes * 2 })).toMatchObject(mismatch('memory_bytes'))
      await (await refused({ ...from, ram: join(place.directory, 'nothing') })).toMatchObject(mismatch('nothing'))
      expect(starts).toEqual([])
      await expect(access(join(place.directory, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' })

      const state = await readFile(from.state)
      for (const bytes of [state.subarray(0, state.length / 2), Buffer.alloc(state.length), Buffer.alloc(0)]) {
        await writeFile(from.state, bytes)
        await (await refused(from)).toMatchObject({ code: 'MACHINE_FAILED' })
      }
      await writeFile(from.state, state)
      await truncate(from.ram, 4096)
      await (await refused(from)).toMatchObject(mismatch('4096'))
    })
  })
}

/** In a tmpfs: only RAM has it. */
async function mark(agent: AgentConnection, word: string): Promise<void> {
  const { code } = await run(agent, 'sh', '-c', `mkdir -p /dev/shm; echo ${word} > /dev/shm/mark`)
  expect(code).toBe(0)
}

async function marks(agent: AgentConnection): Promise<string> {
  return (await run(agent, 'cat', '/dev/shm/mark')).stdout
}

async function resumed(place: Workbench, machine: Machine): Promise<AgentConnection> {
  await machine.resume()
  const agent = await place.connect(machine.record)
  await agent.ready
  return agent
}

async function digest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}
