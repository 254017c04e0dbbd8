import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { toolsFor, withSmallFilesystem } from '../../../test/support/filesystems.ts'
import { needs } from '../../../test/support/needs.ts'
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
  identify: () => Promise.reject(new Error('not here')),
  start: () => Promise.reject(new Error('not here')),
  adopt: async () => undefined,
})
const healthy = driverWith(async () => ({ version: '9.9' }))

const lowers = {
  ...{ there: 3, kept: 0, broken: [], why: 'files of the data directory can share extents' },
  kind: { profile: 'plain', form: 'whole' },
} as const
const images = { lowers: async () => lowers }
const use = { sheds: 2, memory_bytes: 3e9, max_memory_bytes: 8e9 }
const host = {
  ...{
    layout,
    driver: healthy,
    images,
    runDirectory: root,
    ramDirectory: join(root, 'cowshed-0123456789'),
    agentPath: '/nonexistent/agent',
  },
  hostUse: async () => use,
  confinement: async () => ({ isRoot: false, bounded: [], unbounded: [] }),
}

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

test('says how disks are cloned here, why, and what would be better', async () => {
  const shared = await examine()
  const found = shared.get('disk clones')
  expect(found).toMatchObject({ verdict: 'ok', found: expect.stringMatching(/^(ficlone|copy_file_range|io_copy): /) })
  if (found?.found.startsWith('ficlone')) expect(found).not.toHaveProperty('hint')
  else expect(found?.hint).toMatch(/as root: cowshed setup --btrfs \d+GB$/)
})

describe.runIf(needs({ root: true, tools: toolsFor('btrfs') }))('a data directory on btrfs', () => {
  test('clones by sharing, and has nothing to better', async () => {
    await withSmallFilesystem('btrfs', 120 * 2 ** 20, async (directory) => {
      const { checks } = await runDoctor({ ...host, layout: dataLayout(directory) })
      expect(checks.find(({ name }) => name === 'disk clones')).toEqual({
        name: 'disk clones',
        verdict: 'ok',
        found: 'ficlone: files on btrfs share extents, so that a new disk takes no space',
      })
    })
  })
})

test('counts lowers, says which kind is built, and which are damaged', async () => {
  const look = async (report: object = {}) => {
    const { checks } = await runDoctor({ ...host, images: { lowers: async () => ({ ...lowers, ...report }) } })
    return checks.find(({ name }) => name === 'lowers')
  }
  expect(await look()).toMatchObject({
    verdict: 'ok',
    found: '3 there; new ones are plain and whole: files of the data directory can share extents',
  })
  expect(await look({ kept: 1 })).toMatchObject({ found: expect.stringMatching(/^3 there \(1 cannot be made again/) })
  const broken = { image: 'a:1', complaint: 'it has 7 bytes', isKept: false }
  expect(await look({ broken: [broken, broken] })).toMatchObject({
    verdict: 'warning',
    found: 'that of a:1 is damaged (it has 7 bytes), and 1 more',
    hint: 'make it again: cowshed image verify --repair a:1',
  })
  expect(await look({ broken: [{ ...broken, isKept: true }] })).toMatchObject({
    hint: expect.stringContaining('cowshed image pull a:1'),
  })
})

test('tells what running sheds take of the host, and warns of more than is allowed', async () => {
  const look = async (more: object) => {
    const { checks } = await runDoctor({ ...host, hostUse: async () => ({ ...use, ...more }) })
    return checks.find(({ name }) => name === 'limits')
  }
  expect(await look({})).toMatchObject({ verdict: 'ok', found: '2 running, with 3.0 GB of 8.0 GB of memory' })
  expect(await look({ max_sheds: 4 })).toMatchObject({ found: expect.stringMatching(/^2 of 4 running/) })
  expect(await look({ max_memory_bytes: 2e9 })).toMatchObject({ verdict: 'warning' })
})

test('says what a VM is on its host', async () => {
  const look = async (user: string | undefined, bounded: string[], unbounded: string[]) => {
    const { checks } = await runDoctor({
      ...host,
      confinement: async () => ({ user, isRoot: true, bounded, unbounded }),
    })
    return checks.find(({ name }) => name === 'confinement')
  }
  expect(await look(undefined, ['memory', 'cpu', 'pids'], [])).toMatchObject({
    verdict: 'warning',
    found: 'VMs run as root; a cgroup bounds the memory, cpu, pids of each',
  })
  expect(await look('somebody', [], ['memory'])).toMatchObject({
    verdict: 'ok',
    found: 'VMs run as somebody; no cgroup bounds them (cgroups of version 2 have no memory on this host)',
  })
  expect((await examine()).get('confinement')).toMatchObject({
    verdict: 'ok',
    found: expect.stringContaining('only root'),
  })
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
