import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { dataLayout, Problem } from '../../base/index.ts'
import { lockFile, openStaging } from '../../host/index.ts'
import type { Driver } from '../../machines/index.ts'
import { fixHost, runDoctor } from './run-doctor.ts'

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

const host = { layout, driver: healthy, runDirectory: root, agentPath: '/nonexistent/agent' }

const missing = driverWith(async () => {
  throw new Problem('TOOL_NOT_FOUND', 'qemu is not installed', { hint: 'run: apt install qemu-system-x86' })
})

async function examine(driver = healthy) {
  const { checks } = await runDoctor({ ...host, driver })
  return new Map(checks.map((check) => [check.name, check]))
}

test('what is missing has failed, with what to do about it', async () => {
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

describe('staging', () => {
  test('what a crash left is swept when it is old, work in progress is not', async () => {
    await using work = await openStaging(layout, 'load')
    const [left, young] = [join(layout.staging, 'left'), join(layout.staging, 'young')]
    mkdirSync(left)
    mkdirSync(young)
    for (const path of [work.path, left]) utimesSync(path, 1e9, 1e9)
    expect((await examine()).get('staging')).toMatchObject({ verdict: 'warning', found: expect.stringMatching(/^1 /) })
    const { checks } = await fixHost(host)
    expect(checks.find(({ name }) => name === 'staging')).toMatchObject({ verdict: 'ok', fixed: `removed ${left}` })
    expect([work.path, young, left].map((path) => existsSync(path))).toEqual([true, true, false])
  })
})

describe('fixing', () => {
  test('closes a run directory that others may enter', async () => {
    const open = join(root, 'open')
    mkdirSync(open, { mode: 0o755 })
    const find = ({ checks }: Awaited<ReturnType<typeof runDoctor>>) =>
      checks.find(({ name }) => name === 'run directory')
    expect(find(await runDoctor({ ...host, runDirectory: open }))).toMatchObject({ verdict: 'failed' })
    expect(find(await fixHost({ ...host, runDirectory: open }))).toMatchObject({
      verdict: 'ok',
      fixed: `closed ${open} to others`,
    })
  })

  test('makes the template of uppers', async () => {
    rmSync(layout.templates, { recursive: true, force: true })
    expect((await examine()).get('upper template')).toMatchObject({ verdict: 'warning' })
    await fixHost(host)
    expect((await examine()).get('upper template')).toMatchObject({ verdict: 'ok' })
  })

  test('says what could not be done, and does nothing about what is well', async () => {
    const { checks } = await fixHost({ ...host, driver: missing })
    const kernel = checks.find(({ name }) => name === 'guest kernel')
    expect(kernel).toMatchObject({ verdict: 'failed', fixed: 'could not be fixed: qemu is not installed' })
    expect(checks.find(({ name }) => name === 'node')).not.toHaveProperty('fixed')
  })
})
