import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Problem } from '../base/index.ts'
import type { GuestFile, PruneReport, Shed, SnapshotDetail } from '../contract/index.ts'
import { openTestCli } from './cli.testkit.ts'

const cli = await openTestCli()
afterAll(() => cli.close())
beforeEach(() => {
  for (const name of Object.keys(cli.handlers)) delete cli.handlers[name as keyof typeof cli.handlers]
})

const shed = (name: string, changes: Partial<Shed> = {}): Shed => ({
  name,
  id: 'a1',
  status: 'running',
  image: { ref: 'debian:12', manifest_digest: `sha256:${'0'.repeat(64)}` },
  cpus: 2,
  memory_bytes: 2 ** 29,
  upper_bytes: 5 * 2 ** 30,
  rootfs: 'erofs',
  network: 'user',
  env: {},
  labels: {},
  volumes: [],
  secrets: [],
  thermal: { warm_after_ms: 'never', cold_after_ms: 'never', keep_hot: false },
  created_at: '2020-01-01T00:00:00Z',
  changed_at: '2020-01-01T00:00:00Z',
  backend: 'qemu',
  forwards: [],
  ...changes,
})

function serveSheds(...names: string[]): void {
  cli.handlers.listSheds = async () => ({ sheds: names.map((name) => shed(name)) })
  cli.handlers.getShed = async ({ params: { name } }) => {
    if (names.includes(name)) return shed(name)
    throw new Problem('SHED_NOT_FOUND', `there is no shed ${name}`)
  }
}

describe('the command line', () => {
  test('help is data, and no error', async () => {
    const { code, stdout, stderr } = await cli.run(['--help'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^ {2}create +/m)
    expect(stdout).not.toContain('__complete')
  })

  test('help of a command, and of a group', async () => {
    expect((await cli.run(['create', '--help'])).stdout).toContain('--upper-size')
    expect((await cli.run(['image', '--help'])).stdout).toContain('inspect')
  })

  test.each([
    [['frobnicate'], /unknown command.*\nhint: see: cowshed --help/s],
    [['sl'], /Did you mean ls/],
    [['ls', '--frobnicate'], /unknown option.*\nhint: see: cowshed ls --help/s],
    [['image', 'tag', 'x'], /missing.*\nhint: see: cowshed image tag --help/s],
    [['create', 'web'], /--image/],
    [['inspect'], /missing required argument/],
    [['create', 'Web', '--image', 'x'], /not a valid shed name/],
    [['create', 'web', '--image', 'x', '--memory', 'much'], /not a size/],
    [['create', 'web', '--image', 'x', '--memory', '1KiB'], /too small\nhint: at least 64MiB/],
    [['create', 'web', '--image', 'x', '--cpus', '0'], /whole number from 1 to 64/],
    [['create', 'web', '--image', 'x', '--env', 'novalue'], /K=V/],
    [['create', 'web', '--image', 'x', '--io-write', '1kB/s'], /--io-write .* is too/],
    [['create', 'web', '--image', 'x', '--warm-after', '10ms'], /too short: 1s is the least/],
    [['set', 'web'], /nothing to set\nhint: .*--warm-after.*--memory/],
    [['set', 'web', '--memory', '1MiB'], /--memory "1MiB" is too small/],
    [['set', 'web', '--iops', 'some'], /--iops "some" is not a whole number/],
    [['system', 'prune', '--until', '3 fortnights'], /not a duration/],
    [['system', 'dedupe', '--rate', '1kB/s'], /too small/],
    [['forward', 'web', '80:x'], /the port "x"/],
  ])('%j is a usage error', async (words, message) => {
    const { code, stdout, stderr } = await cli.run(words)
    expect(code, stderr).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(message)
  })

  test('the version is told without a daemon', async () => {
    expect((await cli.run(['--version'])).stdout).toMatch(/^cowshed \S+\n$/)
  })

  test('a data directory where nothing can be made is refused at once', async () => {
    const { code, stderr } = await cli.run(['ls', '--data', '/proc/cowshed'])
    expect([code, stderr]).toEqual([3, expect.stringContaining('cannot start a daemon for /proc/cowshed')])
  })

  test('common options stand before or after the command', async () => {
    serveSheds('web')
    const before = await cli.run(['--json', '--data', cli.directory, 'ls'])
    const after = await cli.run(['ls', '--json', '--data', cli.directory])
    expect(JSON.parse(before.stdout)).toEqual({ sheds: [shed('web')] })
    expect(after.stdout).toBe(before.stdout)
  })
})

describe('errors', () => {
  test('say what happened and what to type, and exit by their code', async () => {
    cli.handlers.startShed = async () => {
      throw new Problem('KERNEL_NOT_FOUND', 'there is no guest kernel', { hint: 'run: cowshed setup' })
    }
    const { code, stdout, stderr } = await cli.run(['start', 'web'])
    expect([code, stdout, stderr]).toEqual([3, '', 'error: there is no guest kernel\nhint: run: cowshed setup\n'])
  })

  test('with --json are the objects that the API answers with', async () => {
    cli.handlers.startShed = async () => {
      throw new Problem('KERNEL_NOT_FOUND', 'there is no guest kernel', { hint: 'run: cowshed setup' })
    }
    serveSheds()
    const failed = await cli.run(['start', 'web', '--json'])
    const error = { code: 'KERNEL_NOT_FOUND', message: 'there is no guest kernel', hint: 'run: cowshed setup' }
    expect([failed.code, JSON.parse(failed.stderr)]).toEqual([3, { error }])
    expect(JSON.parse(failed.stdout)).toEqual({ results: [{ name: 'web', ok: false, error }] })
    const missing = await cli.run(['--json', 'inspect', 'web'])
    expect([missing.code, JSON.parse(missing.stderr)]).toMatchObject([3, { error: { code: 'SHED_NOT_FOUND' } }])
    for (const words of [['frobnicate'], ['ls', '--frobnicate'], ['create', 'Web', '--image', 'x']]) {
      const { code, stderr } = await cli.run([...words, '--json'])
      expect([code, JSON.parse(stderr)]).toMatchObject([2, { error: { code: 'INVALID_REQUEST' } }])
    }
  })

  test('a mistyped name is guessed', async () => {
    serveSheds('web', 'database')
    const { code, stderr } = await cli.run(['inspect', 'wbe'])
    expect([code, stderr]).toEqual([3, 'error: there is no shed wbe\nhint: did you mean web?\n'])
  })

  test('escape sequences of others are not passed on', async () => {
    serveSheds()
    cli.handlers.getShed = async () => shed('web', { status_reason: 'gone\u001b[2J\u202e' })
    const { stdout } = await cli.run(['inspect', 'web'])
    expect(stdout).toContain('gone\\x1b[2J\\u{202e}')
  })

  test('several targets of which some fail: exit code 6, each told of', async () => {
    cli.handlers.startShed = async ({ params: { name } }) => {
      if (name === 'bad') throw new Problem('BOOT_FAILED', 'bad did not come up')
      return shed(name)
    }
    const { code, stdout, stderr } = await cli.run(['start', 'a', 'bad', 'b'])
    expect([code, stdout, stderr]).toEqual([6, 'a running\nb running\n', 'error: bad did not come up\n'])
    expect((await cli.run(['start', 'bad'])).code).toBe(1)
  })
})

describe('what removes data', () => {
  test('is refused where there is nobody to ask', async () => {
    const { code, stderr } = await cli.run(['delete', 'web'], { input: 'y\n' })
    expect(code).toBe(2)
    expect(stderr).toContain('--force')
    expect((await cli.run(['delete', 'web', '--json'], { isTty: true, input: 'y\n' })).code).toBe(2)
    expect((await cli.run(['reset', 'web'])).code).toBe(2)
  })

  test('asks on a terminal, and no means no', async () => {
    const deleted: string[] = []
    cli.handlers.deleteShed = async ({ params, query }) => void deleted.push(`${params.name} ${query.force}`)
    expect((await cli.run(['delete', 'web'], { isTty: true, input: '\n' })).code).toBe(1)
    expect(deleted).toEqual([])
    const { code, stdout, stderr } = await cli.run(['delete', 'web'], { isTty: true, input: 'y\n' })
    expect([code, stdout]).toEqual([0, 'web deleted\n'])
    expect(stderr).toContain('[y/N]')
    await cli.run(['delete', '--force', 'web'])
    expect(deleted).toEqual(['web false', 'web true'])
  })
})

describe('ls', () => {
  test('is a table', async () => {
    const changed_at = new Date().toISOString()
    cli.handlers.listSheds = async () => ({
      sheds: [
        shed('web', { changed_at, forwards: [{ guest_port: 80, host_port: 8080 }] }),
        shed('db', { changed_at, status: 'crashed', cpus: 16 }),
      ],
    })
    const { stdout } = await cli.run(['ls'])
    expect(stdout).toBe(
      [
        'NAME  STATUS   IMAGE      CPUS    MEMORY  CHANGED   FORWARDS',
        'web   running  debian:12     2  536.9 MB  just now  8080→80',
        'db    crashed  debian:12    16  536.9 MB  just now',
        '',
      ].join('\n'),
    )
  })

  test('-q is names only', async () => {
    serveSheds('web', 'db')
    expect((await cli.run(['ls', '-q'])).stdout).toBe('web\ndb\n')
  })
})

test('set sends what is to change, `default` as null, and says what is so now', async () => {
  const seen: unknown[] = []
  cli.handlers.setShed = async ({ params: { name }, body }) => {
    seen.push(body)
    const thermal = { warm_after_ms: 60_000, cold_after_ms: 'never' as const, keep_hot: body.keep_hot ?? false }
    return shed(name, { thermal })
  }
  const { stdout } = await cli.run(['set', 'web', 'db', '--warm-after', '1m', '--cold-after', 'default'])
  expect(stdout).toBe('web paused after 1m\ndb paused after 1m\n')
  expect((await cli.run(['set', 'web', '--keep-hot'])).stdout).toBe('web is kept hot\n')
  await cli.run(['set', 'web', '--no-keep-hot', '--warm-after', 'never'])
  const one = { warm_after_ms: 60_000, cold_after_ms: null }
  expect(seen).toEqual([one, one, { keep_hot: true }, { warm_after_ms: 'never', keep_hot: false }])
})

describe('create', () => {
  test('sends what was asked for and nothing else', async () => {
    const seen: unknown[] = []
    cli.handlers.createShed = async ({ body }) => {
      seen.push(body)
      return { shed: shed(body.name), outcome: seen.length === 1 ? 'created' : 'unchanged' }
    }
    const words = ['create', 'web', '--image', 'debian:12', '--cpus', '2', '--memory', '1GiB', '--upper-size', '20GB']
    const options = [
      '--rootfs',
      'ext4',
      '--net',
      'none',
      '--env',
      'A=1',
      '--env',
      'B=x=y',
      '--label',
      'team=',
      '--volume',
      'data:/srv/data:ro',
      '--secret',
      'api-key',
      '--secret',
      'cert:/etc/key.pem',
      '--volume',
      'logs:/var/log',
      '--io-read',
      '50MB/s',
      '--io-write',
      '8MiB',
      '--iops',
      '500',
      '--warm-after',
      '5m',
      '--cold-after',
      'never',
      '--no-start',
      '--pull',
      'never',
    ]
    expect((await cli.run([...words, ...options])).stdout).toBe('web created (running)\n')
    expect((await cli.run(['create', 'web', '--image', 'debian:12'])).stdout).toBe('web unchanged (running)\n')
    expect(seen[0]).toEqual({
      name: 'web',
      image: 'debian:12',
      cpus: 2,
      memory_bytes: 2 ** 30,
      upper_bytes: 20e9,
      rootfs: 'ext4',
      network: 'none',
      io: { read_bytes_per_second: 50e6, write_bytes_per_second: 8 * 2 ** 20, operations_per_second: 500 },
      env: { A: '1', B: 'x=y' },
      labels: { team: '' },
      volumes: [
        { volume: 'data', path: '/srv/data', read_only: true },
        { volume: 'logs', path: '/var/log', read_only: false },
      ],
      secrets: [
        { secret: 'api-key', env: 'API_KEY' },
        { secret: 'cert', path: '/etc/key.pem' },
      ],
      thermal: { warm_after_ms: 300_000, cold_after_ms: 'never' },
      start: false,
      pull: 'never',
    })
    expect(seen[1]).toEqual({ name: 'web', image: 'debian:12', volumes: [], secrets: [], start: true })
  })

  test('shows progress as JSON lines on stderr for programs', async () => {
    cli.handlers.createShed = async ({ onProgress }) => {
      onProgress({ phase: 'lower', done: 1, total: 2 })
      return { shed: shed('web'), outcome: 'created' }
    }
    const { stderr } = await cli.run(['create', 'web', '--image', 'x', '--progress', 'json'])
    expect(stderr).toBe('{"phase":"lower","done":1,"total":2}\n')
  })

  test('a daemon that dies meanwhile is told of', async () => {
    cli.handlers.createShed = () =>
      new Promise(() => {
        setTimeout(() => cli.cutConnections(), 50)
      })
    const { code, stderr } = await cli.run(['create', 'web', '--image', 'x'])
    expect([code, stderr]).toEqual([7, expect.stringContaining('the daemon went away before the work was done')])
  })

  test('an interrupt aborts the work on the server and exits with 130', async () => {
    const interrupt = new AbortController()
    let reason: unknown
    cli.handlers.createShed = ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reason = signal.reason
          reject(signal.reason)
        })
        interrupt.abort()
      })
    expect((await cli.run(['create', 'web', '--image', 'x'], { signal: interrupt.signal })).code).toBe(130)
    await expect.poll(() => reason).toMatchObject({ code: 'CANCELLED' })
  })
})

describe('doctor', () => {
  const check = { name: 'staging', verdict: 'warning', found: '2 left', hint: 'cowshed doctor --fix' } as const

  test('changes nothing, and a warning is no failure', async () => {
    cli.handlers.runDoctor = async () => ({ checks: [check] })
    const { code, stdout } = await cli.run(['doctor'])
    expect([code, stdout]).toEqual([0, '! staging: 2 left\n    → cowshed doctor --fix\n'])
  })

  test('--fix tells what was done, and fails when something still has', async () => {
    cli.handlers.fixHost = async () => ({
      checks: [
        { name: 'staging', verdict: 'ok', found: 'nothing', fixed: 'removed /d/staging/x' },
        {
          name: 'guest kernel',
          verdict: 'failed',
          found: 'none',
          hint: 'cowshed setup',
          fixed: 'could not be fixed: x',
        },
      ],
    })
    const { code, stdout } = await cli.run(['doctor', '--fix'])
    expect(code).toBe(1)
    expect(stdout).toBe(
      '✓ staging: nothing\n    → removed /d/staging/x\n✗ guest kernel: none\n    → could not be fixed: x\n    → cowshed setup\n',
    )
  })
})

test('what is pinned or protected says so, wherever it is listed', async () => {
  const asked: object[] = []
  cli.handlers.pinImage = async ({ body }) => void asked.push(body)
  cli.handlers.protectShed = async ({ params }) => shed(params.name, { protected: true })
  cli.handlers.unprotectShed = async ({ params }) => shed(params.name)
  cli.handlers.listSheds = async () => ({ sheds: [shed('web', { protected: true })] })
  expect((await cli.run(['image', 'pin', 'debian:12'])).stdout).toBe('debian:12 pinned\n')
  expect(asked).toEqual([{ ref: 'debian:12' }])
  expect((await cli.run(['protect', 'web', 'db'])).stdout).toBe('web protected\ndb protected\n')
  expect((await cli.run(['unprotect', 'web'])).stdout).toBe('web protected no more\n')
  expect((await cli.run(['ls'])).stdout).toContain('running, protected')
})

test('setup --btrfs is done by this process, in which no daemon is in the way', async () => {
  const asked: object[] = []
  const setUpBtrfs = async (options: { dataDirectory: string; bytes: number }) => {
    asked.push(options)
    const root = options.dataDirectory
    return { data_directory: root, file: `${root}.btrfs`, bytes: options.bytes, outcome: 'created' as const }
  }
  const { code, stdout } = await cli.run(['setup', '--btrfs', '50GB'], { setUpBtrfs })
  expect([code, asked]).toEqual([0, [{ dataDirectory: cli.directory, bytes: 50e9, atBoot: undefined }]])
  expect(stdout).toContain(`${cli.directory} (btrfs, created)`)
  await cli.run(['setup', '--btrfs', '50GB', '--fstab'], { setUpBtrfs })
  expect(asked[1]).toMatchObject({ atBoot: 'fstab' })
  expect((await cli.run(['setup', '--systemd'], { setUpBtrfs })).code).toBe(2)
  expect((await cli.run(['setup', '--btrfs', '1GB', '--fstab', '--systemd'], { setUpBtrfs })).code).toBe(2)
  expect(asked).toHaveLength(2)
})

test('setup says in short why there is no KVM, and with --json in full', async () => {
  const acceleration_reason =
    "a VM under KVM failed: QEMU did not start: qemu-system-x86_64: error: failed to set MSR 0x10a | qemu-system-x86_64: ../kvm.c:3183: Assertion `ret' failed."
  const reply = {
    kernel_id: 'k',
    release: '6.1',
    acceleration: 'tcg',
    acceleration_reason,
    outcome: 'installed',
  } as const
  cli.handlers.setUp = async () => reply
  expect((await cli.run(['setup'])).stdout).toContain(
    'tcg: a VM under KVM failed: QEMU did not start: failed to set MSR 0x10a\n',
  )
  expect(JSON.parse((await cli.run(['setup', '--json'])).stdout)).toEqual(reply)
})

test('dedupe asks nothing, says what it read, and shows predicted and measured side by side', async () => {
  const asked: unknown[] = []
  const totals = { shared_bytes: 5e9, predicted_bytes: 4e9, read_bytes: 9e9, known_bytes: 1e9 }
  cli.handlers.dedupe = async ({ body }) => {
    asked.push(body)
    return {
      dry_run: body.dry_run,
      server_name: 'host',
      accuracy: 'exact',
      items: [{ kind: 'shed', name: 'web', path: '/x', shared_bytes: 5e9, freed_bytes: 4e9 }],
      skipped: [{ kind: 'shed', name: 'db', reason: 'it is running' }],
      totals: body.dry_run ? totals : { ...totals, reclaimed_bytes: 3.9e9, changed_bytes: 65536, refused_bytes: 0 },
    }
  }
  const dry = await cli.run(['system', 'dedupe', 'web', '--dry-run', '--rate', '50MB/s'])
  expect(dry.code, dry.stderr).toBe(0)
  expect(dry.stdout).toContain('shed  web   5.0 GB  4.0 GB')
  expect(dry.stdout).toContain('TOTAL TO FREE: 4.0 GB (9.0 GB read, 1.0 GB known from before)\n')
  const real = await cli.run(['system', 'dedupe', '--running'])
  expect(real.stdout).toContain('FREED: 4.0 GB predicted, 3.9 GB reclaimed on the filesystem')
  expect(real.stdout).toContain('65.5 kB left alone: changed meanwhile\n')
  expect(asked).toEqual([
    { names: ['web'], dry_run: true, running: false, rate_bytes: 50e6 },
    { names: [], dry_run: false, running: true },
  ])
})

test('trim shows before and after; of those that were named and not trimmed it says why, and so does the exit code', async () => {
  const web = { kind: 'shed' as const, name: 'web', by: 'host' as const, free_bytes: 4e9, punched_bytes: 1e9 }
  const before = { physical_bytes: 3e9, exclusive_bytes: 2e9 }
  cli.handlers.trim = async ({ body }) => ({
    dry_run: body.dry_run,
    server_name: 'host',
    accuracy: 'exact',
    items: [{ ...web, before, ...(body.dry_run ? {} : { after: { physical_bytes: 2e9, exclusive_bytes: 1e9 } }) }],
    skipped: body.names.includes('db') ? [{ kind: 'shed', name: 'db', reason: 'its journal' }] : [],
    totals: { punched_bytes: 1e9, ...(body.dry_run ? {} : { reclaimed_bytes: 9e8 }) },
  })
  const dry = await cli.run(['system', 'trim', '--dry-run'])
  expect(dry.code, dry.stderr).toBe(0)
  expect(dry.stdout).toContain('TOTAL TO PUNCH: 1.0 GB')
  const real = await cli.run(['system', 'trim', 'web', 'db'])
  expect(real.code).toBe(6)
  expect(real.stdout).toContain('web   host  4.0 GB     1.0 GB  3.0 GB → 2.0 GB  2.0 GB → 1.0 GB\n')
  expect(real.stdout).toContain('RECLAIMED: 900.0 MB on the filesystem\n')
  expect(real.stdout).toContain('its journal')
})

describe('prune', () => {
  const plan: PruneReport = {
    plan_id: 'p1',
    dry_run: true,
    server_name: 'host',
    scope: ['images'],
    until: '72h',
    items: [
      { kind: 'image', name: 'old', path: '/x', action: 'remove', freed: { logical_bytes: 2e9, physical_bytes: 1e9 } },
    ],
    skipped: [],
    notes: [],
    totals: { freed: { logical_bytes: 2e9, physical_bytes: 1e9 }, items: 1, predicted_bytes: 1e9 },
  }
  const asked: unknown[] = []
  beforeEach(() => {
    asked.length = 0
    cli.handlers.planPrune = async ({ query }) => {
      asked.push(query)
      return plan
    }
    cli.handlers.prune = async ({ query }) => {
      asked.push(query)
      return { ...plan, dry_run: false, totals: { ...plan.totals, reclaimed_bytes: 999_000_000 } }
    }
  })

  test('shows, asks, and removes what it showed', async () => {
    const { code, stdout, stderr } = await cli.run(['system', 'prune', '--images', '--until', '0s'], {
      isTty: true,
      input: 'y\n',
    })
    expect(code).toBe(0)
    expect(asked).toMatchObject([
      { dry_run: true, scope: ['images'], until_ms: 0 },
      { dry_run: false, plan_id: 'p1' },
    ])
    expect(stdout).toContain('TOTAL TO FREE: 2.0 GB logical / 1.0 GB physical (1 item)\n')
    expect(stdout).toContain(
      'FREED: 2.0 GB logical / 1.0 GB physical (1 item); 1.0 GB predicted, 999.0 MB reclaimed on the filesystem\n',
    )
    expect(stderr).toContain('Proceed? [y/N] ')
  })

  test('of images, and of the cache with its budgets, is the same prune with its scope', async () => {
    const run = (...args: string[]) => cli.run([...args, '--dry-run'])
    await run('image', 'prune')
    await run('image', 'prune', '--cache-only', '--until', '24h')
    await run('image', 'prune', '--max-used', '20GB')
    await run('system', 'prune', '--logs', '--cache-only', '--keep-free', '1GiB')
    expect(asked).toMatchObject([
      { scope: ['images'] },
      { scope: ['cache'], until_ms: 24 * 3600e3 },
      { scope: ['cache'], max_used_bytes: 20e9 },
      { scope: ['logs', 'cache'], keep_free_bytes: 2 ** 30 },
    ])
    expect((await run('image', 'prune', '--max-used', 'much')).code).toBe(2)
  })

  test('removes nothing without a yes, in a dry run, or with nobody to ask', async () => {
    expect((await cli.run(['system', 'prune'], { isTty: true, input: 'n\n' })).code).toBe(1)
    expect((await cli.run(['system', 'prune', '--dry-run'])).code).toBe(0)
    expect((await cli.run(['system', 'prune'])).code).toBe(2)
    expect(asked.every((query) => (query as { dry_run: boolean }).dry_run)).toBe(true)
  })

  test('for programs: --json needs --force or --dry-run', async () => {
    expect((await cli.run(['system', 'prune', '--json'])).code).toBe(2)
    expect(asked).toEqual([])
    expect(JSON.parse((await cli.run(['system', 'prune', '--json', '--dry-run'])).stdout)).toEqual(plan)
    expect(JSON.parse((await cli.run(['system', 'prune', '--json', '--force'])).stdout).dry_run).toBe(false)
  })
})

describe('images', () => {
  test('a path is sent as an absolute one, stdin as bytes', async () => {
    const seen: string[] = []
    cli.handlers.loadImage = async ({ body, upload, query }) => {
      if (body !== undefined) seen.push(`${body.path} ${body.tag}`)
      let length = 0
      for await (const chunk of upload ?? []) length += chunk.length
      if (upload !== undefined) seen.push(`${length} bytes ${query.tag}`)
      return { images: [] }
    }
    await cli.run(['image', 'load', 'some/image.tar', '--tag', 'a:1'], { cwd: '/work' })
    await cli.run(['image', 'load', '-', '--tag', 'b:1'], { input: Buffer.alloc(3_000_000) })
    expect(seen).toEqual(['/work/some/image.tar a:1', '3000000 bytes b:1'])
  })

  test('an archive goes to stdout', async () => {
    cli.handlers.downloadImage = async ({ query }) => ({
      source: (async function* () {
        yield Buffer.from(query.ref.join(' '))
      })(),
    })
    expect((await cli.run(['image', 'save', 'a', 'b', '-o', '-'])).stdout).toBe('a b')
  })

  test('removing tells what went, and of what did not', async () => {
    cli.handlers.removeImage = async ({ query: { ref } }) => {
      if (ref === 'used') throw new Problem('IMAGE_IN_USE', 'used is used by web')
      return { untagged: [ref], deleted: ['sha256:1', 'sha256:2'], freed_physical_bytes: 5e6 }
    }
    const { code, stdout, stderr } = await cli.run(['image', 'rm', 'old', 'used'])
    expect([code, stdout, stderr]).toEqual([
      6,
      'untagged old\ndeleted 2 blobs, 5.0 MB\n',
      'error: used is used by web\n',
    ])
    expect((await cli.run(['image', 'rm', 'used'])).code).toBe(4)
  })
})

describe('snapshots', () => {
  const snapshot: SnapshotDetail = {
    name: 'kept',
    id: 'a1',
    status: 'whole',
    shed: { name: 'copy', id: 'b2' },
    forked_from: { name: 'web', id: 'c3' },
    image: { ref: 'debian:12', manifest_digest: `sha256:${'0'.repeat(64)}` },
    rootfs: 'erofs',
    bytes: 5e9,
    physical_bytes: 3e6,
    volumes: [],
    pause_ms: 12,
    created_at: '2020-01-01T00:00:00Z',
    lower: 'missing',
    lower_hint: 'cowshed image pull debian:12',
    missing_volumes: [],
    sheds: [],
  }
  const broken: SnapshotDetail = {
    ...snapshot,
    name: 'torn',
    id: '',
    status: 'broken',
    status_reason: 'there is no upper.ext4',
    physical_bytes: 0,
    created_at: new Date(0).toISOString(),
  }

  test('say what they are of and how to get what they lie over', async () => {
    cli.handlers.getSnapshot = async () => snapshot
    const { stdout } = await cli.run(['snapshot', 'info', 'kept'])
    for (const line of [
      'shed: +copy',
      'fork of: +web',
      'lower: +missing: cowshed image pull debian:12',
      'paused: +12 ms',
    ])
      expect(stdout).toMatch(new RegExp(`^${line}`, 'm'))
  })

  test('that came from elsewhere name secrets that do not act on a terminal', async () => {
    cli.handlers.getSnapshot = async () => ({ ...snapshot, secrets_in_memory: ['key', 'red\u001b[31m'] })
    const { stdout } = await cli.run(['snapshot', 'info', 'kept'])
    expect(stdout).toMatch(/^secrets: +key {2}red.*\(in its memory\)$/m)
    expect(stdout).not.toContain('\u001b')
  })

  test('of which nothing can be read show no figures, and how to be rid of them', async () => {
    cli.handlers.getSnapshot = async () => broken
    cli.handlers.listSnapshots = async () => ({ snapshots: [broken] })
    const { stdout, stderr } = await cli.run(['snapshot', 'info', 'torn'])
    expect(stdout).toBe('name:    torn\nstatus:  broken\nreason:  there is no upper.ext4\n')
    expect(stderr).toContain('cowshed snapshot rm --force torn')
    expect((await cli.run(['snapshot', 'ls'])).stdout).toMatch(/^torn +broken +copy +debian:12 +- +-$/m)
    cli.handlers.getShed = async () => shed('torn', { status: 'broken', status_reason: 'not JSON' })
    expect((await cli.run(['inspect', 'torn'])).stdout).toBe('name:    torn\nstatus:  broken\nreason:  not JSON\n')
  })

  test('go to no directory that is not there, and come from no file that is not', async () => {
    cli.handlers.exportSnapshot = async () => ({
      source: (async function* () {
        yield Buffer.from('bytes')
      })(),
    })
    const exported = await cli.run(['snapshot', 'export', 'kept', '/nonexistent/kept.snapshot'])
    expect([exported.code, exported.stderr]).toEqual([
      3,
      'error: cannot write /nonexistent/kept.snapshot: there is no directory /nonexistent\nhint: make it first, or choose another path\n',
    ])
    const imported = await cli.run(['snapshot', 'import', '/nonexistent/kept.snapshot'])
    expect([imported.code, imported.stderr]).toEqual([
      3,
      'error: cannot read /nonexistent/kept.snapshot: no such file or directory\nhint: see whether the path is right\n',
    ])
  })
})

describe('completion', () => {
  const complete = async (...words: string[]) =>
    (await cli.run(['__complete', '--', ...words])).stdout.trim().split('\n')

  test('commands, words of a group, options, values', async () => {
    expect(await complete('cr')).toEqual(['create'])
    expect(await complete('image', '')).toEqual(expect.arrayContaining(['load', 'ls', 'history', 'rm']))
    expect(await complete('system', 'prune', '--log')).toEqual(['--logs', '--log-tail-bytes'])
    expect(await complete('create', 'web', '--net', '')).toEqual(['user', 'none'])
    expect(await complete('completion', '')).toEqual(['bash', 'zsh', 'fish'])
    expect(await complete('image', 'load', '')).toEqual([':files'])
  })

  test('live names of sheds and images', async () => {
    serveSheds('web', 'worker', 'db')
    cli.handlers.listImages = async () => ({
      images: [{ tags: ['debian:12'], digest: 'd', media_type: 'm', layers: 1, size_bytes: 1, used_by: [] }],
    })
    expect(await complete('stop', 'w')).toEqual(['web', 'worker'])
    expect(await complete('stop', '--timeout', '5s', 'web', '')).toEqual(['web', 'worker', 'db'])
    expect(await complete('cp', 'd')).toEqual(['db:', ':files'])
    expect(await complete('create', 'x', '--image', '')).toEqual(['debian:12'])
    expect(await complete('exec', 'web', '')).toEqual([''])
  })

  test.each(['bash', 'zsh', 'fish'])('%s gets a script', async (shell) => {
    expect((await cli.run(['completion', shell])).stdout).toContain('cowshed __complete')
  })
})

describe('cp', () => {
  const stat = (path: string, changes: Partial<GuestFile> = {}): GuestFile => ({
    path,
    type: 'file',
    mode: 0o640,
    uid: 0,
    gid: 0,
    size_bytes: 4,
    mtime_ms: 1_577_836_800_000,
    ...changes,
  })
  const bytes = (text: string) => ({
    source: (async function* () {
      yield Buffer.from(text)
    })(),
  })

  test('a directory comes out with its links, modes and times', async () => {
    const tree: Record<string, GuestFile[]> = {
      '/srv': [
        stat('/srv/f', { mode: 0o4755 }),
        stat('/srv/link', { type: 'symlink' }),
        stat('/srv/null', { type: 'character' }),
      ],
    }
    cli.handlers.statGuestFile = async ({ query: { path } }) =>
      path === '/srv'
        ? stat('/srv', { type: 'directory', mode: 0o750 })
        : stat(path, { type: 'symlink', target: '../elsewhere' })
    cli.handlers.listGuestDirectory = async ({ query: { path } }) => ({ entries: tree[path] ?? [] })
    cli.handlers.readGuestFile = async ({ query: { path } }) => bytes(`content of ${path}`)
    const to = join(cli.directory, 'out')
    const { code, stderr } = await cli.run(['cp', 'web:/srv', to])
    expect([code, stderr]).toEqual([6, 'skipped /srv/null: a character is not copied\n'])
    expect(readFileSync(join(to, 'f'), 'utf8')).toBe('content of /srv/f')
    expect(lstatSync(join(to, 'f')).mode & 0o7777).toBe(0o755)
    expect(lstatSync(join(to, 'f')).mtimeMs).toBe(1_577_836_800_000)
    expect(readlinkSync(join(to, 'link'))).toBe('../elsewhere')
    expect(lstatSync(to).mode & 0o777).toBe(0o750)
  })

  test('a guest cannot lead out of the destination', async () => {
    const outside = join(cli.directory, 'outside')
    mkdirSync(outside)
    const entries: Record<string, GuestFile[]> = {
      '/evil': [stat('/evil/a', { type: 'symlink' }), stat('/evil/a', { type: 'directory' })],
      '/evil/a': [stat('/evil/a/owned')],
      '/dots': [stat('/dots/..', { type: 'directory' })],
    }
    cli.handlers.statGuestFile = async ({ query: { path } }) =>
      path.endsWith('/a') ? stat(path, { type: 'symlink', target: outside }) : stat(path, { type: 'directory' })
    cli.handlers.listGuestDirectory = async ({ query: { path } }) => ({ entries: entries[path] ?? [] })
    cli.handlers.readGuestFile = async () => bytes('gotcha')
    expect((await cli.run(['cp', 'web:/evil', join(cli.directory, 'evil')])).stderr).toContain(
      'is there and is no directory',
    )
    expect((await cli.run(['cp', 'web:/dots', join(cli.directory, 'dots')])).stderr).toContain('no directory can have')
    expect(() => lstatSync(join(outside, 'owned'))).toThrow('ENOENT')
  })

  test('a copy that breaks off leaves nothing under the name', async () => {
    cli.handlers.statGuestFile = async () => stat('/f')
    cli.handlers.readGuestFile = async () => ({
      source: (async function* () {
        yield Buffer.from('half')
        throw new Error('the guest is gone')
      })(),
    })
    const to = join(cli.directory, 'broken')
    const { code, stderr } = await cli.run(['cp', 'web:/f', to])
    expect([code, stderr]).toEqual([1, expect.stringContaining('broke off')])
    expect(() => lstatSync(to)).toThrow('ENOENT')
    expect(() => lstatSync(`${to}.cowshed-part`)).toThrow('ENOENT')
  })

  test('a directory goes in with its links, modes and times', async () => {
    const from = join(cli.directory, 'in')
    mkdirSync(from)
    writeFileSync(join(from, 'f'), 'hello')
    chmodSync(join(from, 'f'), 0o751)
    utimesSync(join(from, 'f'), 1_577_836_800, 1_577_836_800)
    symlinkSync('f', join(from, 'l'))
    const seen: unknown[] = []
    cli.handlers.statGuestFile = async ({ query: { path } }) => {
      if (path === '/root') return stat(path, { type: 'directory' })
      throw new Problem('GUEST_FILE_NOT_FOUND', 'not there')
    }
    cli.handlers.makeGuestFile = async ({ body }) => void seen.push(body)
    cli.handlers.writeGuestFile = async ({ query, upload }) => {
      let text = ''
      for await (const chunk of upload ?? []) text += chunk.toString()
      seen.push({ ...query, text })
    }
    expect((await cli.run(['cp', from, 'web:/root'])).code).toBe(0)
    expect(seen).toContainEqual({ type: 'directory', path: '/root/in', mode: 0o755 })
    expect(seen).toContainEqual({ path: '/root/in/f', mode: 0o751, mtime_ms: 1_577_836_800_000, text: 'hello' })
    expect(seen).toContainEqual({ type: 'symlink', path: '/root/in/l', target: 'f' })
  })

  test('a link takes the place of one that is there', async () => {
    const link = join(cli.directory, 'link')
    symlinkSync('target', link)
    let there = true
    cli.handlers.statGuestFile = async ({ query: { path, follow } }) => {
      if (path === '/root' || (there && !follow))
        return stat(path, { type: path === '/root' ? 'directory' : 'symlink' })
      throw new Problem('GUEST_FILE_NOT_FOUND', 'not there')
    }
    cli.handlers.makeGuestFile = async () => {
      if (there) throw new Problem('GUEST_FAILED', 'File exists')
    }
    cli.handlers.removeGuestFile = async ({ query: { path } }) => {
      expect(path).toBe('/root/link')
      there = false
    }
    expect(await cli.run(['cp', link, 'web:/root'])).toMatchObject({ code: 0, stderr: '' })
  })

  test('stdin goes in', async () => {
    const seen: string[] = []
    cli.handlers.writeGuestFile = async ({ query: { path }, upload }) => {
      for await (const chunk of upload ?? []) seen.push(path, chunk.toString())
    }
    expect((await cli.run(['cp', '-', 'web:/tmp/x'], { input: 'hello' })).code).toBe(0)
    expect(seen).toEqual(['/tmp/x', 'hello'])
  })

  test('a directory that is not there is told of, not made', async () => {
    cli.handlers.statGuestFile = async ({ query: { path } }) => {
      if (path === '/f') return stat(path)
      throw new Problem('GUEST_FILE_NOT_FOUND', 'not there')
    }
    writeFileSync(join(cli.directory, 'f'), '')
    const missing = join(cli.directory, 'missing')
    for (const to of [`${missing}/`, `${missing}/f`]) {
      const { code, stderr } = await cli.run(['cp', 'web:/f', to])
      expect([code, stderr]).toEqual([
        3,
        `error: there is no directory ${missing}\nhint: make it: mkdir -p ${missing}\n`,
      ])
    }
    const { code, stderr } = await cli.run(['cp', join(cli.directory, 'f'), 'web:/no/such/f'])
    expect([code, stderr]).toEqual([
      3,
      'error: there is no directory web:/no/such\nhint: make it: cowshed exec web -- mkdir -p /no/such\n',
    ])
  })

  test.each([
    [['cp', 'a', 'b'], 'one of the two'],
    [['cp', 'web:etc', 'b'], 'must be absolute'],
    [['cp', 'Web:/etc', 'b'], 'not a valid shed name'],
  ])('%j is refused', async (words, message) => {
    const { code, stderr } = await cli.run(words)
    expect(code).toBe(2)
    expect(stderr).toContain(message)
  })
})
