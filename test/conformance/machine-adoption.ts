import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { isLocked, killProcess } from '../../src/host/index.ts'
import type { Machine, MachineRecord, MachineSpec } from '../../src/machines/index.ts'
import { bundleScript } from '../support/bundle-script.ts'
import { firstLine, killScript, startScript } from '../support/node-script.ts'
import type { DriverUnderTest, Suite } from './driver.ts'
import { answerless, type Material, run, type Workbench } from './workbench.ts'

/** Machines outlive the process that started them. */
export function describeAdoption(suite: Suite): void {
  describe('a machine whose parent died', () => {
    test('runs on and is adopted, with its forwards', async () => {
      await using place = await suite.bench()
      const spec = await place.spec({ network: 'user' })
      const record = await orphan(suite.subject, spec, 'running')
      const machine = await adopted(suite.material(), place, { record, spec })
      const agent = await place.connect(record)
      await agent.ready
      expect((await run(agent, 'echo', 'still here')).stdout).toBe('still here\n')

      const forward = await machine.addForward({ guestPort: 80, hostPort: 0 })
      machine.release()
      const again = await adopted(suite.material(), place, { record, spec })
      expect(await again.forwards()).toEqual([forward])
      const third = await run(agent, 'true')
      expect(third.code).toBe(0)

      await agent.poweroff()
      expect(await again.exited).toMatchObject({ kind: 'powerdown' })
      expect(await suite.material().driver.adopt(record, spec.lockPath)).toBeUndefined()
    })

    test('before it was even up is adopted, and tells of a panic', async () => {
      await using place = await suite.bench()
      const spec = await place.spec()
      const record = await orphan(suite.subject, spec, 'spawned')
      const machine = await adopted(suite.material(), place, { record, spec })
      const agent = await place.connect(record)
      await agent.ready
      await answerless(run(agent, 'sh', '-c', 'echo c > /proc/sysrq-trigger'))
      expect(await machine.exited).toMatchObject({ kind: 'panic' })
    })

    test('while it was held still goes on; one that is killed later was killed', async () => {
      await using place = await suite.bench()
      const spec = await place.spec()
      const record = await orphan(suite.subject, spec, 'running')
      killProcess({ pid: record.pid, startTime: record.pidStartTime }, 'SIGSTOP')
      const machine = await adopted(suite.material(), place, { record, spec })
      killProcess({ pid: record.pid, startTime: record.pidStartTime }, 'SIGKILL')
      expect(await machine.exited).toMatchObject({ kind: 'killed' })
    })

    test('and that died too is known to be dead', async () => {
      await using place = await suite.bench()
      const spec = await place.spec()
      const record = await orphan(suite.subject, spec, 'spawned')
      killProcess({ pid: record.pid, startTime: record.pidStartTime }, 'SIGKILL')
      while (await isLocked(spec.lockPath)) await sleep(10)
      expect(await suite.material().driver.adopt(record, spec.lockPath)).toBeUndefined()
    })

    test('is not taken for another process with its pid', async () => {
      await using place = await suite.bench()
      const { machine, agent, spec } = await place.boot()
      const impostor = { ...machine.record, pidStartTime: '1' }
      await expect(suite.material().driver.adopt(impostor, spec.lockPath)).rejects.toMatchObject({
        code: 'MACHINE_FAILED',
      })
      expect((await run(agent, 'true')).code).toBe(0)
    })
  })
}

/** A machine whose parent process was killed at that point. */
async function orphan(
  subject: DriverUnderTest,
  spec: MachineSpec,
  until: 'spawned' | 'running',
): Promise<MachineRecord> {
  const starter = await startScript(new URL('./machine-starter.testkit.ts', import.meta.url), [
    pathToFileURL(await bundleScript(subject.module)).href,
    subject.make,
    JSON.stringify(spec),
    until,
  ])
  try {
    return JSON.parse(await firstLine(starter)) as MachineRecord
  } finally {
    await killScript(starter)
  }
}

interface Orphan {
  readonly record: MachineRecord
  readonly spec: MachineSpec
}

async function adopted({ driver }: Material, place: Workbench, { record, spec }: Orphan): Promise<Machine> {
  const machine = await driver.adopt(record, spec.lockPath)
  if (machine === undefined) throw new Error('the machine is dead')
  return place.own(machine)
}
