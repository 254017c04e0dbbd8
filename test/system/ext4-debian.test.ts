import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Shed } from '../../src/contract/index.ts'
import { openCowshed, until } from '../support/cowshed.ts'
import { debianImage, debianImageTools } from '../support/debian-image.ts'
import { fsckExt4 } from '../support/ext4-mount.ts'
import { kernelTools } from '../support/kernel.ts'
import { needs } from '../support/needs.ts'

const able = needs({ root: true, tools: ['qemu-system-x86_64', 'e2fsck', ...debianImageTools, ...kernelTools] })

test.runIf(able)(
  'a Debian with systemd on a root filesystem of its own starts, stops by itself, and is clean',
  async () => {
    await using cowshed = await openCowshed()
    const layout = join(cowshed.layout.root, '..', 'systemd')
    await debianImage('systemd', layout)
    await cowshed.ok('image', 'load', layout)
    await cowshed.ok('create', 'own', '--image', 'debian:systemd', '--rootfs', 'ext4')
    const exec = async (...argv: string[]) => await cowshed.run('exec', 'own', '--', ...argv)
    let state = ''
    // Before systemd listens, systemctl fails.
    const isUp = async () => {
      state = (await exec('systemctl', 'is-system-running', '--wait')).stdout.trim()
      return ['running', 'degraded'].includes(state)
    }
    await until(isUp, 'systemd has started', 400_000)
    const failed = await exec('systemctl', '--failed', '--plain', '--no-legend')
    expect({ state, failed: failed.stdout }).toEqual({ state: 'running', failed: '' })
    const { stdout } = await exec('sh', '-c', 'cat /proc/1/comm; hostname; findmnt -no FSTYPE /; touch /root/x')
    expect(stdout).toBe('systemd\nown\next4\n')
    await cowshed.ok('stop', 'own', '--timeout', '300s')
    expect((await cowshed.json<Shed>('inspect', 'own')).status).toBe('stopped')
    await fsckExt4(cowshed.layout.shed('own').rootfs)
  },
  900_000,
)
