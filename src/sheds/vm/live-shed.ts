import { isProblem, Problem } from '../../base/index.ts'
import { processStartTime, within } from '../../host/index.ts'
import type { Machine, MachineExit } from '../../machines/index.ts'
import { type AgentConnection, connectAgent } from '../../wires/index.ts'
import { shedIsPaused, shedNotRunning } from '../records/shed-record.ts'

/** How long a running guest may take to answer a new connection, in milliseconds. One that is hung must not hang its callers. */
const connectMs = 10_000

/** So soon it is known how a VMM that is dead has ended, in milliseconds. */
const noticedMs = 5000

/** A VM that this daemon holds on to, and the connection to its agent, which is made again when it was lost. */
export class LiveShed {
  readonly name: string
  readonly machine: Machine
  /** Somebody is ending it on purpose: its exit is not news. */
  ending = false
  /** All of its memory is on the disk, so nothing is left for it but to end: it may not go on any more. */
  isKept = false
  #isPaused: boolean | undefined
  #exit: MachineExit | undefined
  #agentIsGone = false
  #agent: AgentConnection | undefined
  #connecting: Promise<AgentConnection> | undefined
  /** By port of the guest. */
  readonly #hostPorts = new Map<number, Promise<number>>()
  /** Aborted when nobody may talk to the agent any more. */
  readonly #closed = new AbortController()

  constructor(name: string, machine: Machine, agent?: AgentConnection) {
    this.name = name
    this.machine = machine
    if (agent !== undefined) {
      this.#keep(agent)
      // It answers, so it runs. Its VMM is not asked: one that hangs would keep whoever is to end it waiting.
      this.#isPaused = false
    }
    void machine.exited.then((exit) => {
      this.#exit = exit
      this.closeAgent()
    })
    void machine.agentGone.then(() => {
      this.#agentIsGone = true
      this.#agent?.close(this.#agentGone())
    })
  }

  /** One that was started to go on from a memory. */
  static paused(name: string, machine: Machine): LiveShed {
    const live = new LiveShed(name, machine)
    live.#isPaused = true
    return live
  }

  /** How its VM ended; undefined while it runs. */
  get exit(): MachineExit | undefined {
    return this.#exit
  }

  /** The same in words, of one that is dead, whoever has noticed that. */
  async howItEnded(): Promise<string> {
    const { reason } = (await within(this.machine.exited, noticedMs)) ?? { reason: 'nobody knows why' }
    return `the VM of ${this.name} has ended: ${reason}`
  }

  /** Whether its vCPUs stand still; undefined for one that was adopted, until somebody looked. */
  get isPaused(): boolean | undefined {
    return this.#isPaused
  }

  /** The same, found out for one that was adopted. @throws Problem MACHINE_FAILED when its VMM does not answer */
  async looksPaused(): Promise<boolean> {
    this.#isPaused ??= await this.#ask('say whether it is paused', () => this.machine.isPaused())
    return this.#isPaused
  }

  /** Has its vCPUs stand still: its guest answers nobody any more, and nobody is to wait for it. @throws Problem MACHINE_FAILED: it is as it was */
  async pause(): Promise<void> {
    try {
      await this.#ask('pause', () => this.machine.pause())
      this.#isPaused = true
    } catch (error) {
      // A VMM that hung may hear of it after all, some day: nobody would know that it stands still.
      if (this.#isPaused !== true) void this.machine.resume().catch(() => undefined)
      throw error
    }
  }

  /** @throws Problem MACHINE_FAILED when its VMM does not answer */
  async resume(): Promise<void> {
    await this.#ask('go on', () => this.machine.resume())
    this.#isPaused = false
  }

  /** @see Machine.saveState @throws Problem MACHINE_FAILED, NO_SPACE */
  async saveState(path: string): Promise<void> {
    await this.#ask('save its state', () => this.machine.saveState(path))
  }

  /**
   * @param timeoutMs how long the guest may take to answer a new connection
   * @throws Problem SHED_NOT_RUNNING, AGENT_UNREACHABLE, AGENT_PROTOCOL
   */
  async agent(timeoutMs = connectMs): Promise<AgentConnection> {
    if (this.#closed.signal.aborted) throw shedNotRunning(this.name)
    if (this.#isPaused === true) throw shedIsPaused(this.name)
    if (this.#agentIsGone) throw this.#agentGone()
    if (this.#agent !== undefined) return this.#agent
    this.#connecting ??= this.#connect(timeoutMs).finally(() => {
      this.#connecting = undefined
    })
    return await this.#connecting
  }

  /** The port of this host, on its loopback, that leads to one of the guest: it is made when it is first asked for. @throws Problem QMP_FAILED */
  async hostPortOf(guestPort: number): Promise<number> {
    const known = this.#hostPorts.get(guestPort)
    if (known !== undefined) return await known
    const found = this.#findHostPort(guestPort)
    this.#hostPorts.set(guestPort, found)
    return await found.catch((error: unknown) => {
      this.#hostPorts.delete(guestPort)
      throw error
    })
  }

  async closeHostPortOf(guestPort: number): Promise<void> {
    this.#hostPorts.delete(guestPort)
    for (const open of await this.machine.forwards()) {
      if (open.guestPort === guestPort) await this.machine.removeForward(open.hostPort)
    }
  }

  /** One that was adopted may have it. */
  async #findHostPort(guestPort: number): Promise<number> {
    const open = (await this.machine.forwards()).find((forward) => forward.guestPort === guestPort)
    return (open ?? (await this.machine.addForward({ guestPort, hostPort: 0 }))).hostPort
  }

  /** Lets go of the VM without stopping it. */
  release(): void {
    this.closeAgent()
    this.machine.release()
  }

  /** For good: a connection that is being made is given up. */
  closeAgent(): void {
    this.#closed.abort()
    this.#agent?.close()
    this.#agent = undefined
  }

  async #connect(timeoutMs: number): Promise<AgentConnection> {
    const { agentSocket, agentKey } = this.machine.record
    const { signal } = this.#closed
    const agent = await connectAgent({ socketPath: agentSocket, key: agentKey, timeoutMs, signal })
    if (!signal.aborted) return this.#keep(agent)
    agent.close()
    throw shedNotRunning(this.name)
  }

  #keep(agent: AgentConnection): AgentConnection {
    this.#agent = agent
    void agent.closed.then(() => {
      if (this.#agent === agent) this.#agent = undefined
    })
    return agent
  }

  /** A VMM that hangs answers nobody, for as long as it likes: whoever waited for it is told the way out. */
  async #ask<T>(what: string, question: () => Promise<T>): Promise<T> {
    try {
      return await question()
    } catch (error) {
      if (!isProblem(error, 'QMP_FAILED')) throw error
      const { pid, pidStartTime } = this.machine.record
      if (processStartTime(pid) !== pidStartTime) {
        throw new Problem('MACHINE_FAILED', await this.howItEnded(), { hint: 'try again', cause: error })
      }
      throw new Problem('MACHINE_FAILED', `the VM of ${this.name} does not ${what}: ${error.message}`, {
        hint: `if it hangs, stop it, which kills it then; what is on its disk stays: cowshed stop ${this.name}`,
        cause: error,
      })
    }
  }

  #agentGone(): Problem {
    return new Problem('AGENT_UNREACHABLE', `the agent in the guest of ${this.name} has died`, {
      hint: `the guest itself may still run; stop it, which kills its VM then, and start it again: cowshed stop ${this.name}`,
    })
  }
}
