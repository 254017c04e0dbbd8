import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Problem } from '../../base/index.ts'
import type { EventLog, NewEvent } from '../../state/index.ts'
import { Ports } from './ports.ts'

const opened: Ports[] = []
afterEach(() => {
  for (const ports of opened.splice(0)) ports.end()
})

function portsOf(passOn: (shed: string, guestPort: number) => Promise<void>) {
  const told: NewEvent[] = []
  const events = { append: (event: NewEvent) => void told.push(event) } as unknown as EventLog
  const ports = new Ports({ events, passOn })
  opened.push(ports)
  return { ports, told }
}

/** Connects, and waits until the other side ends it. @returns whether anybody was there */
function knock(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    let isThere = false
    connect(port, '127.0.0.1')
      .once('connect', () => {
        isThere = true
      })
      .resume()
      .on('error', () => undefined)
      .once('close', () => resolve(isThere))
  })
}

test('ports are there as long as a shed has a VM or sleeps, and those alone that are recorded', async () => {
  const seen: string[] = []
  const { ports, told } = portsOf(async (shed, guestPort) => void seen.push(`${shed}:${guestPort}`))
  const forward = await ports.open('web', { guest_port: 80, host_port: 0 })
  const other = await ports.open('web', { guest_port: 81, host_port: 0 })
  const record = { name: 'web', forwards: [forward] }
  for (const status of ['running', 'paused', 'sleeping', 'cold', 'waking', 'stopping', 'starting'] as const) {
    await ports.follow({ ...record, status })
    expect([status, await knock(forward.host_port), await knock(other.host_port)]).toEqual([status, true, false])
  }
  for (const status of ['stopped', 'crashed', 'deleting'] as const) {
    await ports.follow({ ...record, status })
    expect([status, await knock(forward.host_port)]).toEqual([status, false])
    await ports.follow({ ...record, status: 'running' })
    expect(await knock(forward.host_port)).toBe(true)
  }
  expect(new Set(seen)).toEqual(new Set(['web:80']))
  expect(told).toEqual([])
})

test('one that is taken is told, keeps no other from being opened, and is opened when it is free', async () => {
  const { ports, told } = portsOf(async () => {})
  const taken = await ports.open('first', { guest_port: 80, host_port: 0 })
  const free = await ports.open('web', { guest_port: 81, host_port: 0 })
  ports.closeAll('web')
  const record = { name: 'web', status: 'running' as const, forwards: [{ ...taken, guest_port: 80 }, free] }
  await ports.follow(record)
  expect(await knock(free.host_port)).toBe(true)
  expect(told).toMatchObject([
    { type: 'shed.forward_failed', subject: 'web', message: expect.stringContaining('is in use') },
  ])
  ports.close('first', taken.host_port)
  await ports.follow(record)
  expect([await knock(taken.host_port), told.length]).toEqual([true, 1])
})

test('why connections cannot be passed on is told once, and again after one could', async () => {
  let problem: Problem | undefined = new Problem('HOST_FULL', 'no room')
  const { ports, told } = portsOf(async () => {
    if (problem !== undefined) throw problem
  })
  const { host_port: port } = await ports.open('web', { guest_port: 80, host_port: 0 })
  for (let count = 0; count < 3; count++) expect(await knock(port)).toBe(true)
  expect(told).toMatchObject([{ message: expect.stringContaining('no room') }])
  problem = undefined
  await knock(port)
  problem = new Problem('HOST_FULL', 'no room')
  await knock(port)
  expect(told).toHaveLength(2)
})
