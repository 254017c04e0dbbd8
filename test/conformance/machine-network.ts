import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { Suite } from './driver.ts'
import { run } from './workbench.ts'

/** What comes in and what goes out. */
export function describeNetwork(suite: Suite): void {
  describe('the network', () => {
    test('of the user kind reaches out, and is reached through forwards', async () => {
      await using place = await suite.bench()
      const { machine, agent } = await place.boot({ network: 'user' })
      await run(agent, 'httpd', '-p', '80', '-h', '/www')
      const forward = await machine.addForward({ guestPort: 80, hostPort: 0 })
      expect(forward).toEqual({ guestPort: 80, hostPort: expect.any(Number) })
      expect(await get(forward.hostPort)).toBe('hello from the guest\n')
      expect(await machine.forwards()).toEqual([forward])
      await expect(machine.addForward({ guestPort: 81, hostPort: forward.hostPort })).rejects.toMatchObject({
        code: 'PORT_IN_USE',
      })
      await expect(machine.addForward({ guestPort: 0, hostPort: 0 })).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
      })

      await machine.removeForward(forward.hostPort)
      await machine.removeForward(forward.hostPort)
      await expect(get(forward.hostPort)).rejects.toThrow()
      expect(await machine.forwards()).toEqual([])
      expect(await machine.addForward({ guestPort: 80, hostPort: forward.hostPort })).toEqual(forward)
      expect(await get(forward.hostPort)).toBe('hello from the guest\n')

      const server = createServer((_, response) => response.end('hello from the host\n'))
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as { port: number }
      try {
        expect((await run(agent, 'wget', '-qO-', `http://10.0.2.2:${port}/`)).stdout).toBe('hello from the host\n')
      } finally {
        server.close()
      }
    })

    test('of the none kind is not there', async () => {
      await using place = await suite.bench()
      const { machine, agent } = await place.boot({ network: 'none' })
      expect((await run(agent, 'ls', '/sys/class/net')).stdout.trim()).toBe('lo')
      await expect(machine.addForward({ guestPort: 80, hostPort: 0 })).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
      })
      expect(await machine.forwards()).toEqual([])
    })
  })
}

async function get(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(20_000),
  })
  return await response.text()
}
