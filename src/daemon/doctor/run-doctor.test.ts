import { mkdirSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { dataLayout, Problem } from '../../base/index.ts'
import { lockFile } from '../../host/index.ts'
import type { Driver } from '../../machines/index.ts'
import { runDoctor } from './run-doctor.ts'

const root = mkdtempSync(join(tmpdir(), 'cowshed-doctor-'))
const layout = dataLayout(root)
afterAll(() => rmSync(root, { recursive: true }))

const driverWith = (probe: Driver['probe']): Driver => ({
  name: 'qemu',
  probe,
  start: () => Promise.reject(new Error('not here')),
  adopt: async () => undefined,
})
const healthy = driverWith(async () => ({ version: '9.9' }))

async function examine(driver = healthy) {
  const { checks } = await runDoctor({ layout, driver, runDirectory: root })
  return new Map(checks.map((check) => [check.name, check]))
}

test('what is missing has failed, with what to do about it', async () => {
  const missing = driverWith(async () => {
    throw new Problem('TOOL_NOT_FOUND', 'qemu is not installed', { hint: 'run: apt install qemu-system-x86' })
  })
  const checks = await examine(missing)
  expect(checks.get('hypervisor')).toEqual({
    name: 'hypervisor',
    verdict: 'failed',
    found: 'qemu is not installed',
    hint: 'run: apt install qemu-system-x86',
  })
  expect(checks.get('guest kernel')).toMatchObject({ verdict: 'failed', hint: 'run: cowshed setup' })
  expect(checks.get('acceleration')).toMatchObject({ verdict: 'warning' })
  expect(checks.get('node')).toMatchObject({ verdict: 'ok', found: process.versions.node })
})

test('a data directory that nobody holds is no good sign', async () => {
  expect((await examine()).get('lock')).toMatchObject({ verdict: 'failed' })
  using _ = await lockFile(layout.lock, { mode: 'exclusive', wait: true })
  expect((await examine()).get('lock')).toMatchObject({ verdict: 'ok' })
})

test('work in progress is nothing to worry about, what is a day old is', async () => {
  const work = join(layout.staging, 'load-x')
  mkdirSync(work, { recursive: true })
  expect((await examine()).get('staging')).toMatchObject({ verdict: 'ok', found: '1 in progress' })
  utimesSync(work, 1e9, 1e9)
  expect((await examine()).get('staging')).toMatchObject({
    verdict: 'warning',
    found: expect.stringContaining('1 left'),
  })
})

test('a run directory that others may enter has failed', async () => {
  const open = join(root, 'open')
  mkdirSync(open, { mode: 0o755 })
  const { checks } = await runDoctor({ layout, driver: healthy, runDirectory: open })
  expect(checks.find(({ name }) => name === 'run directory')).toMatchObject({ verdict: 'failed' })
})
