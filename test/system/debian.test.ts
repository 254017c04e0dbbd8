import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Shed } from '../../src/contract/index.ts'
import { isCleanVolume } from '../../src/disks/index.ts'
import { type Cowshed, openCowshed, until } from '../support/cowshed.ts'
import { debianImages, debianImageTools } from '../support/debian-image.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { fakeOfAnother } from '../support/fake-of-another.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({
  root: true,
  tools: ['qemu-system-x86_64', 'mke2fs', 'e2fsck', ...debianImageTools, ...kernelTools],
})

/** systemd is up in a few seconds on a quiet machine; under emulation on a busy one it takes its time. */
const patience = 600_000

/** Sheds of a real Debian, as mmdebstrap makes it: each test goes on where the one before it ended. */
describe.runIf(able)('a Debian', () => {
  let cowshed: Cowshed

  beforeAll(async () => {
    cowshed = await openCowshed()
    const layout = join(cowshed.layout.root, '..', 'debian')
    await debianImages(layout)
    await cowshed.ok('image', 'load', layout)
    // A first run makes the root filesystem.
  }, 900_000)
  afterAll(async () => await cowshed[Symbol.asyncDispose](), 120_000)

  const sh = async (name: string, script: string) => await cowshed.ok('exec', name, '--', 'sh', '-c', script)
  const status = async (name: string) => await cowshed.json<Shed>('inspect', name)
  const isStopped = (name: string) => async () => (await status(name)).status === 'stopped'
  const stop = async (name: string) => await cowshed.ok('stop', name, '--timeout', '120s')
  const bootId = async (name: string) => (await sh(name, 'cat /proc/sys/kernel/random/boot_id')).trim()

  /** The one that its record says. */
  async function machineIdIn(name: string): Promise<string> {
    return (JSON.parse(await readFile(cowshed.layout.shed(name).record, 'utf8')) as { machine_id: string }).machine_id
  }

  async function machineIdOfSystemd(name: string): Promise<string | undefined> {
    const systemd = ['org.freedesktop.systemd1', '/org/freedesktop/systemd1']
    const ask = ['busctl', 'call', ...systemd, 'org.freedesktop.DBus.Peer', 'GetMachineId']
    return /^s "(.*)"\n$/.exec(await cowshed.ok('exec', name, '--', ...ask))?.[1]
  }

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
        await cowshed.ok('volume', 'create', 'data', '--size', '64MiB')
        await cowshed.ok('create', 'one', '--image', 'debian:systemd', '--volume', 'data:/srv/data')
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
      'has a name and a machine id of its own, which systemd believes, on a root filesystem of its own too',
      async () => {
        await cowshed.ok('create', 'two', '--image', 'debian:systemd', '--rootfs', 'ext4')
        expect(await sh('two', 'findmnt -no FSTYPE /')).toBe('ext4\n')
        const identity = 'hostname; cat /etc/hostname; cat /etc/machine-id'
        const [one, two] = [await sh('one', identity), await sh('two', identity)].map((text) => text.split('\n'))
        expect(one).toEqual(['one', 'one', expect.stringMatching(/^[0-9a-f]{32}$/), ''])
        expect(two).toEqual(['two', 'two', expect.stringMatching(/^[0-9a-f]{32}$/), ''])
        expect(two?.[2]).not.toBe(one?.[2])
        expect(await machineIdOfSystemd('one')).toBe(one?.[2])
      },
      patience,
    )

    test(
      'is forked with all that runs in it, and is a machine of its own then',
      async () => {
        await cowshed.ok('fork', 'two', 'three')
        expect(await bootId('three')).toBe(await bootId('two'))
        const identity = await sh('three', 'hostname; cat /etc/hostname; cat /etc/machine-id')
        expect(identity).toBe(`three\nthree\n${await machineIdIn('three')}\n`)
        expect(await systemState('three')).toBe('running')
        await cowshed.ok('delete', 'three', '--force')
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
          "ExecStart=/bin/sh -c 'echo started >> /var/lib/story; echo started >> /srv/data/story'",
          "ExecStop=/bin/sh -c 'sleep 1; echo stopped >> /var/lib/story'",
          '[Install]',
          'WantedBy=multi-user.target',
        ]
        await sh('one', `printf '%s\\n' "${unit.join('" "')}" > /etc/systemd/system/story.service`)
        await cowshed.ok('exec', 'one', '--', 'systemctl', 'enable', '--quiet', '--now', 'story')
        await stop('one')
        // Its volume, too: systemd has unmounted that.
        expect(await isCleanVolume(cowshed.layout, 'data')).toBe(true)
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
        expect(await systemState('two')).toBe('running')
        await sh('two', `${fakeOfAnother}; sync`)
        await cowshed.ok('exec', 'two', '--', 'reboot')
        await cowshed.ok('exec', 'one', '--', 'poweroff')
        await until(isStopped('two'), 'it is stopped', patience)
        await until(isStopped('one'), 'it is stopped', patience)
        expect((await status('two')).status_reason).toBe('the guest rebooted')
        expect((await status('one')).status_reason).toBe('the guest shut down')
        expect(await cowshed.vmms()).toEqual([])
        await fsckExt4(cowshed.layout.shed('two').rootfs)
      },
      patience * 2,
    )

    test(
      'that was made from the root filesystem of another is itself before it is ready',
      async () => {
        await cowshed.ok('snapshot', 'create', 'two', 'base')
        await cowshed.ok('create', 'three', '--from-snapshot', 'base')
        const who = 'hostname; cat /etc/hostname /etc/machine-id /etc/ssh/ssh_host_rsa_key'
        const [host, hostname, machineId, key] = (await sh('three', who)).split('\n')
        expect([host, hostname, key]).toEqual(['three', 'three', 'private rsa root@three'])
        expect(machineId).toBe(await machineIdIn('three'))
        expect(machineId).not.toBe(await machineIdIn('two'))
        expect(await sh('three', 'findmnt -no FSTYPE /')).toBe('ext4\n')
        await systemState('three')
        expect(await machineIdOfSystemd('three')).toBe(machineId)
        await cowshed.ok('delete', 'three', '--force')
        await cowshed.ok('snapshot', 'rm', 'base', '--force')
      },
      patience * 2,
    )
  })

  describe('without an init', () => {
    test(
      'has the agent as PID 1, which buries the dead',
      async () => {
        await cowshed.ok('create', 'bare', '--image', 'debian:bare')
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
