import { isProblem } from '../../base/index.ts'
import type { Forward } from '../../contract/index.ts'
import type { EventLog } from '../../state/index.ts'
import { loopback, type OpenPort, openPort, type PortConnection } from '../../wires/index.ts'
import { isDown, type ShedRecord } from '../records/shed-record.ts'

export interface PortsOptions {
  readonly events: EventLog
  /** Passes a connection on to a port of a shed, to its end. */
  readonly passOn: (shed: string, guestPort: number, connection: PortConnection) => Promise<void>
}

/**
 * The ports of this host that are forwarded to sheds. The daemon has them, not a VM: they are there while a shed sleeps, and whoever connects uses the
 * shed (docs/decisions/0116-the-daemon-has-forwarded-ports.md).
 */
export class Ports {
  readonly #options: PortsOptions
  /** By shed, then by their number. */
  readonly #open = new Map<string, Map<number, OpenPort>>()
  /** Why the last connection to a shed could not be passed on: told once, not for each that is tried. */
  readonly #failures = new Map<string, string>()

  constructor(options: PortsOptions) {
    this.#options = options
  }

  /**
   * Has those ports of a shed open that its record names, for as long as it has a VM or sleeps. What is open when a transition begins is so until that
   * has led somewhere. One that is taken by now is told as an event.
   */
  async follow(record: Pick<ShedRecord, 'name' | 'status' | 'forwards'>): Promise<void> {
    const { name, forwards } = record
    if (!hasPorts(record)) return isOver(record) ? this.closeAll(name) : undefined
    const named = new Set(forwards.map(({ host_port }) => host_port))
    for (const port of this.#of(name).keys()) if (!named.has(port)) this.close(name, port)
    for (const forward of forwards) {
      await this.open(name, forward).catch((error: unknown) => {
        const where = `${loopback}:${forward.host_port}`
        this.#tell(name, `cannot forward ${where} to port ${forward.guest_port}: ${messageOf(error)}`)
      })
    }
  }

  /** Opens one; one that is open stays as it is. @returns it, with the port that was chosen for 0 @throws Problem PORT_IN_USE */
  async open(name: string, forward: Forward): Promise<Forward> {
    if (this.#of(name).has(forward.host_port)) return forward
    const { guest_port } = forward
    const onConnection = async (connection: PortConnection) => await this.#take(name, guest_port, connection)
    const opened = await openPort({ port: forward.host_port, onConnection })
    this.#of(name).set(opened.port, opened)
    return { guest_port, host_port: opened.port }
  }

  /** Connections that there are go on. */
  close(name: string, hostPort: number): void {
    this.#of(name).get(hostPort)?.close()
    this.#of(name).delete(hostPort)
  }

  closeAll(name: string): void {
    for (const port of this.#of(name).values()) port.close()
    this.#open.delete(name)
    this.#failures.delete(name)
  }

  /** The daemon is going. */
  end(): void {
    for (const ports of this.#open.values()) for (const port of ports.values()) port.end()
    this.#open.clear()
  }

  async #take(name: string, guestPort: number, connection: PortConnection): Promise<void> {
    try {
      await this.#options.passOn(name, guestPort, connection)
      this.#failures.delete(name)
    } catch (error) {
      this.#noteFailure(name, guestPort, error)
    }
  }

  #noteFailure(name: string, guestPort: number, error: unknown): void {
    // That a connection is reset is nobody's failure but its own.
    if (!isProblem(error) || error.code === 'CANCELLED' || this.#failures.get(name) === error.code) return
    this.#failures.set(name, error.code)
    this.#tell(name, `a connection to port ${guestPort} could not be passed on: ${error.message}`)
  }

  #of(name: string): Map<number, OpenPort> {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    const ports = new Map<number, OpenPort>()
    this.#open.set(name, ports)
    return ports
  }

  #tell(subject: string, message: string): void {
    this.#options.events.append({ type: 'shed.forward_failed', subject, message })
  }
}

/** Whether a shed is one that can be connected to, if need be after it was woken. */
export function hasPorts({ status }: Pick<ShedRecord, 'status'>): boolean {
  return ['running', 'paused', 'sleeping', 'cold', 'waking'].includes(status)
}

function isOver(shed: Pick<ShedRecord, 'status'>): boolean {
  return isDown(shed) || shed.status === 'deleting'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
