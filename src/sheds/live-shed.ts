import type { Machine } from '../machines/index.ts'
import { type AgentConnection, connectAgent } from '../wires/index.ts'

/** How long a running guest may take to answer a new connection, in milliseconds. One that is hung must not hang its callers. */
const connectMs = 10_000

/** A VM that this daemon holds on to, and the connection to its agent, which is made again when it was lost. */
export class LiveShed {
  readonly machine: Machine
  /** Somebody is ending it on purpose: its exit is not news. */
  ending = false
  #agent: AgentConnection | undefined
  #connecting: Promise<AgentConnection> | undefined

  constructor(machine: Machine, agent?: AgentConnection) {
    this.machine = machine
    if (agent !== undefined) this.#keep(agent)
  }

  /** @throws Problem AGENT_UNREACHABLE, AGENT_PROTOCOL */
  async agent(): Promise<AgentConnection> {
    if (this.#agent !== undefined) return this.#agent
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined
    })
    return await this.#connecting
  }

  /** Lets go of the VM without stopping it. */
  release(): void {
    this.closeAgent()
    this.machine.release()
  }

  closeAgent(): void {
    this.#agent?.close()
    this.#agent = undefined
  }

  async #connect(): Promise<AgentConnection> {
    const { agentSocket, agentKey } = this.machine.record
    const signal = AbortSignal.timeout(connectMs)
    return this.#keep(await connectAgent({ socketPath: agentSocket, key: agentKey, signal }))
  }

  #keep(agent: AgentConnection): AgentConnection {
    this.#agent = agent
    void agent.closed.then(() => {
      if (this.#agent === agent) this.#agent = undefined
    })
    return agent
  }
}
