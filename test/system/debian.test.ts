import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Shed } from '../../src/contract/index.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { debianImage, debianImageTools } from '../support/debian-image.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ root: true, tools: ['qemu-system-x86_64', 'mke2fs', ...debianImageTools, ...kernelTools] })

/** systemd is up in a few seconds on a quiet machine; under emulation on a busy one it takes its time. */
const patience = 180_000

/** Sheds of a real Debian, as mmdebstrap makes it: each test goes on where the one before it ended. */
describe.runIf(able)('a Debian', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    for (const flavour of ['systemd', 'minbase'] as const) {
      const layout = join(cowshed.layout.root, '..', flavour)
      await debianImage(flavour, layout)
      await cowshed.ok('image', 'load', layout)
    }
    // A first run makes the root filesystems.
  }, 900_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose](), 120_000)

  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const status = async (name: string) => await cowshed.json<Shed>('inspect', name)
  const isStopped = (name: string) => async () => (await status(name)).status === 'stopped'
  const stop = async (name: string) => await cowshed.ok('stop', name, '--timeout', '120s')
  const bootId = async (name: string) => (await sh(name, 'cat /proc/sys/kernel/random/boot_id')).trim()

  /** Waits until systemd has started what it starts. @returns what it says then: running or degraded */
  async function systemState(name: string): Promise<string> {
    let state = ''
    // Before it listens, systemctl fails.
    await until(
      async () => {
        state = (await cowshed.run('exec', name, '--', 'systemctl', 'is-system-running', '--wait')).stdout.trim()
        return ['running', 'degraded'].includes(state)
      },
      `systemd of ${name} has started`,
      patience,
    )
    return state
  }

  describe('with systemd', () => {
    test(
      'boots with systemd as PID 1, nothing failed, and the agent beside it',
      async () => {
        await cowshed.ok('create', 'one', '--image', 'debian:systemd')
        const state = await systemState('one')
        const failed = await cowshed.ok('exec', 'one', '--', 'systemctl', '--failed', '--plain', '--no-legend')
        expect({ state, failed }).toEqual({ state: 'running', failed: '' })
        expect(await sh('one', 'cat /proc/1/comm; cat /proc/$PPID/comm')).toBe('systemd\ncowshed-agent\n')
        // Nobody could type into a login on the console.
        expect(await cowshed.ok('exec', 'one', '--', 'systemctl', 'list-units', '--all', '--plain')).not.toContain(
          'serial-getty@',
        )
      },
      patience,
    )

    test('runs programs as root and as others', async () => {
      const who = 'id -un; id -gn; echo $HOME; pwd'
      expect(await sh('one', who)).toBe('root\nroot\n/root\n/\n')
      const asWww = ['exec', 'one', '--user', 'www-data', '--', 'sh', '-c', who]
      expect(await cowshed.ok(...asWww)).toBe('www-data\nwww-data\n/var/www\n/\n')
      const asGroup = ['exec', 'one', '--user', 'nobody:daemon', '--cwd', '/tmp', '--', 'sh', '-c', 'id -gn; pwd']
      expect(await cowshed.ok(...asGroup)).toBe('daemon\n/tmp\n')
      const denied = await cowshed.run('exec', 'one', '--user', 'www-data', '--', 'cat', '/etc/shadow')
      expect([denied.code, denied.stderr]).toEqual([1, expect.stringContaining('Permission denied')])
      const nobody = await cowshed.run('exec', 'one', '--user', 'no-such-user', '--', 'true')
      expect([nobody.code, nobody.stderr]).toEqual([125, expect.stringContaining('no-such-user')])
    })

    test(
      'has a name and a machine id of its own, which systemd believes',
      async () => {
        await cowshed.ok('create', 'two', '--image', 'debian:systemd')
        const identity = 'hostname; cat /etc/hostname; cat /etc/machine-id'
        const [one, two] = [await sh('one', identity), await sh('two', identity)].map((text) => text.split('\n'))
        expect(one).toEqual(['one', 'one', expect.stringMatching(/^[0-9a-f]{32}$/), ''])
        expect(two).toEqual(['two', 'two', expect.stringMatching(/^[0-9a-f]{32}$/), ''])
        expect(two?.[2]).not.toBe(one?.[2])
        const systemd = ['org.freedesktop.systemd1', '/org/freedesktop/systemd1']
        const ask = ['busctl', 'call', ...systemd, 'org.freedesktop.DBus.Peer', 'GetMachineId']
        expect(await cowshed.ok('exec', 'one', '--', ...ask)).toBe(`s "${one?.[2]}"\n`)
      },
      patience,
    )

    test('reaches the network through the gateway, and knows whom to ask for names', async () => {
      expect(await sh('one', 'cat /etc/resolv.conf')).toBe('nameserver 10.0.2.3\n')
      expect(await sh('one', 'ip -4 route')).toContain('default via 10.0.2.2')
      const server = createServer((socket) => socket.end('hello from outside\n')).listen(0, '127.0.0.1')
      await once(server, 'listening')
      try {
        const address = server.address()
        const port = typeof address === 'object' ? address?.port : 0
        // What the guest calls 10.0.2.2 is the loopback of this host.
        const fetched = await cowshed.ok('exec', 'one', '--', 'bash', '-c', `cat < /dev/tcp/10.0.2.2/${port}`)
        expect(fetched).toBe('hello from outside\n')
      } finally {
        server.close()
      }
    })

    test("has the host's time", async () => {
      const before = Date.now()
      const guest = Number(await sh('one', 'date +%s%3N'))
      expect(guest).toBeGreaterThan(before - 2000)
      expect(guest).toBeLessThan(Date.now() + 2000)
    })

    test(
      'is stopped by systemd, which ends its services in order, and starts them again',
      async () => {
        const unit = [
          '[Service]',
          'Type=oneshot',
          'RemainAfterExit=yes',
          "ExecStart=/bin/sh -c 'echo started >> /var/lib/story'",
          "ExecStop=/bin/sh -c 'sleep 1; echo stopped >> /var/lib/story'",
          '[Install]',
          'WantedBy=multi-user.target',
        ]
        await sh('one', `printf '%s\\n' "${unit.join('" "')}" > /etc/systemd/system/story.service`)
        await cowshed.ok('exec', 'one', '--', 'systemctl', 'enable', '--quiet', '--now', 'story')
        await stop('one')
        expect(await status('one')).not.toHaveProperty('status_reason')
        expect(await cowshed.ok('logs', 'one')).toContain('reboot: Power down')
        await cowshed.ok('start', 'one')
        expect(await systemState('one')).toBe('running')
        expect(await sh('one', 'cat /var/lib/story')).toBe('started\nstopped\nstarted\n')
      },
      patience * 2,
    )

    test(
      'that powers itself off has stopped, and so has one that reboots: its VM ends, and start is for the user',
      async () => {
        await systemState('two')
        await cowshed.ok('exec', 'two', '--', 'reboot')
        await cowshed.ok('exec', 'one', '--', 'poweroff')
        await until(isStopped('two'), 'it is stopped', patience)
        await until(isStopped('one'), 'it is stopped', patience)
        expect((await status('two')).status_reason).toBe('the guest rebooted')
        expect((await status('one')).status_reason).toBe('the guest shut down')
        expect(await cowshed.vmms()).toEqual([])
      },
      patience * 2,
    )
  })

  describe('without an init', () => {
    test(
      'has the agent as PID 1, which buries the dead',
      async () => {
        await cowshed.ok('create', 'bare', '--image', 'debian:minbase')
        expect(await sh('bare', 'cat /proc/1/comm')).toBe('cowshed-agent\n')
        // Each leaves a child behind, which PID 1 inherits.
        await sh('bare', 'for i in $(seq 50); do (sh -c "exec true" & exit) & done; wait')
        const states = 'for each in /proc/[0-9]*/stat; do cut -d" " -f3 $each; done 2>/dev/null | grep -c Z'
        await until(
          async () => (await cowshed.run('exec', 'bare', '--', 'sh', '-c', states)).stdout === '0\n',
          'no zombies',
        )
        expect((await cowshed.run('exec', 'bare', '--', 'sh', '-c', 'kill -9 1')).code).toBe(0)
        expect(await sh('bare', 'echo alive')).toBe('alive\n')
      },
      patience,
    )

    test(
      'loses nothing that was written right before it is stopped, even by a program that will not end',
      async () => {
        const before = await bootId('bare')
        await sh(
          'bare',
          'trap "" TERM HUP; (while :; do date >> /root/log; sleep 0.1; done) > /dev/null 2>&1 & head -c 2M /dev/urandom > /root/data; sha256sum /root/data > /root/sum',
        )
        await cowshed.ok('stop', 'bare')
        // Not killed: the agent ended it when the program had been given its time.
        expect(await status('bare')).not.toHaveProperty('status_reason')
        await cowshed.ok('start', 'bare')
        expect(await bootId('bare')).not.toBe(before)
        expect(await sh('bare', 'sha256sum --check --quiet /root/sum; wc -l < /root/log')).toMatch(/^[1-9]\d*\n$/)
      },
      patience,
    )

    test(
      'powers itself off when its PID 1 is told to',
      async () => {
        await sh('bare', 'echo last words > /root/words; kill -TERM 1').catch(() => '')
        await until(isStopped('bare'), 'it is stopped', patience)
        await cowshed.ok('start', 'bare')
        expect(await sh('bare', 'cat /root/words')).toBe('last words\n')
        await cowshed.ok('delete', '--force', 'bare')
      },
      patience,
    )
  })
})
