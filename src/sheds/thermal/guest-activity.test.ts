import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { processStartTime } from '../../host/index.ts'
import type { MachineRecord } from '../../machines/index.ts'
import { GuestActivity } from './guest-activity.ts'

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** A process in the place of a VMM. */
function machineOf(id: string, script: string): MachineRecord {
  const child = spawn('sh', ['-c', script], { stdio: 'ignore' })
  children.push(child)
  const pid = child.pid ?? 0
  return {
    driver: 'test',
    id,
    pid,
    pidStartTime: processStartTime(pid) ?? '',
    agentSocket: '',
    controlSocket: '',
    agentKey: '',
    acceleration: 'tcg',
    driverVersion: '1',
  }
}

test('who computes is at work, who waits is not, and one look is none', async () => {
  const activity = new GuestActivity()
  const busy = machineOf('busy', 'while :; do :; done')
  const idle = machineOf('idle', 'exec sleep 1000')
  expect([busy, idle].map((machine) => activity.isAtWork(machine, 100))).toEqual([false, false])
  while (!activity.isAtWork(busy, 100)) await sleep(20)
  expect(activity.isAtWork(idle, 100)).toBe(false)
})

test('what is seen counts until the window is over, and nothing is known of another process or of one that is gone', async () => {
  const activity = new GuestActivity()
  const busy = machineOf('web', 'while :; do :; done')
  expect(activity.isAtWork(busy, 0)).toBe(false)
  while (!activity.isAtWork(busy, 100)) await sleep(20)
  expect(activity.isAtWork(busy, 1e9)).toBe(true)
  expect(activity.isAtWork(machineOf('web', 'exec sleep 1000'), 1e9)).toBe(false)
  expect(activity.isAtWork({ ...busy, id: 'other', pidStartTime: '1' }, 0)).toBe(false)
  activity.keepOnly(new Set())
  expect(activity.isAtWork(busy, 1e9)).toBe(false)
})
