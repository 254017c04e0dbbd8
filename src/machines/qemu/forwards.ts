import { Problem, printable } from '../../base/index.ts'
import type { QmpConnection } from '../../wires/index.ts'
import type { Forward } from '../driver.ts'
import { netdevId } from './qemu-arguments.ts'

/**
 * The port forwards of a machine, one change at a time: which port QEMU chose is only to be seen by comparing the list before and after.
 * QEMU has no QMP command for them, so this is its human monitor.
 *
 * @see QEMU, hmp-commands.hx: hostfwd_add, hostfwd_remove, info usernet
 */
export class Forwards {
  readonly #qmp: QmpConnection
  #last: Promise<unknown> = Promise.resolve()

  constructor(qmp: QmpConnection) {
    this.#qmp = qmp
  }

  /** @throws Problem INVALID_REQUEST, PORT_IN_USE, QMP_FAILED */
  add(forward: Forward): Promise<Forward> {
    return this.#inTurn(() => this.#add(forward))
  }

  /** Removing what is not there is fine. */
  remove(hostPort: number): Promise<void> {
    checkPort(hostPort, 1)
    return this.#inTurn(async () => {
      await this.#monitor(`hostfwd_remove ${netdevId} tcp:127.0.0.1:${hostPort}`)
    })
  }

  list(): Promise<Forward[]> {
    return this.#inTurn(() => this.#list())
  }

  async #add({ guestPort, hostPort }: Forward): Promise<Forward> {
    checkPort(guestPort, 1)
    checkPort(hostPort, 0)
    const before = hostPort === 0 ? await this.#list() : []
    const said = await this.#monitor(`hostfwd_add ${netdevId} tcp:127.0.0.1:${hostPort}-:${guestPort}`)
    if (said !== '') throw refused(said, hostPort)
    if (hostPort !== 0) return { guestPort, hostPort }
    const known = new Set(before.map((forward) => forward.hostPort))
    const added = (await this.#list()).find((forward) => !known.has(forward.hostPort))
    if (added === undefined) throw new Problem('QMP_FAILED', 'QEMU did not say which port it chose')
    return added
  }

  async #list(): Promise<Forward[]> {
    return parseForwards(await this.#monitor('info usernet'))
  }

  async #monitor(commandLine: string): Promise<string> {
    const said = await this.#qmp.execute('human-monitor-command', { 'command-line': commandLine })
    return typeof said === 'string' ? said.trim() : ''
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}

/** The forwards in what `info usernet` prints: protocol[state], descriptor, host address, host port, guest address, guest port, queues. */
export function parseForwards(text: string): Forward[] {
  const lines = text.matchAll(/^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)\s/gm)
  return [...lines].map(([, hostPort, guestPort]) => ({ guestPort: Number(guestPort), hostPort: Number(hostPort) }))
}

function checkPort(port: number, lowest: 0 | 1): void {
  if (Number.isInteger(port) && port >= lowest && port <= 65535) return
  throw new Problem('INVALID_REQUEST', `not a port: ${port}`, { hint: `use ${lowest} to 65535` })
}

function refused(said: string, hostPort: number): Problem {
  if (/could not set up/i.test(said)) {
    return new Problem('PORT_IN_USE', `port ${hostPort} on 127.0.0.1 is in use, or not for this user to take`, {
      hint: 'choose another one, or 0 for any that is free',
      data: { port: hostPort },
    })
  }
  if (/netdev|not found/i.test(said)) return new Problem('INVALID_REQUEST', 'this machine has no network to forward to')
  return new Problem('QMP_FAILED', `QEMU did not forward port ${hostPort}: ${printable(said)}`)
}
