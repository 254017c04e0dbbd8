import { Problem } from '../../base/index.ts'
import { type AgentMessage, agentLimits, type HostMessage, protocolVersion } from '../../formats/index.ts'
import type { AgentConnection } from './agent-connection.ts'
import { type Deferred, deferred } from './deferred.ts'
import { GuestChannel } from './guest-channel.ts'
import { type Link, openLink } from './link.ts'

type Hello = AgentConnection['hello']

/** A request that has no channel yet. */
export type Request = HostMessage extends infer Message
  ? Message extends HostMessage
    ? Omit<Message, 'channel'>
    : never
  : never

/** The channels of one connection. */
export class Session {
  readonly hello: Deferred<Hello> = deferred()
  readonly ready: Deferred<{ uptimeMs: number }> = deferred()
  readonly closed: Deferred<void> = deferred()
  readonly #link: Link
  readonly #channels = new Map<number, GuestChannel>()
  #lastId = 0
  #greeted: 'nothing' | 'hello' | 'ready' = 'nothing'
  #problem: Problem | undefined

  constructor({ socketPath, key }: { socketPath: string; key: Buffer }) {
    const events = {
      message: (message: AgentMessage) => this.#take(message),
      closed: (problem: Problem) => this.#closed(problem),
    }
    this.#link = openLink({ socketPath, key, events })
  }

  /** Sends a request on a channel of its own. @throws Problem AGENT_UNREACHABLE, LIMIT_EXCEEDED, INVALID_REQUEST */
  open(request: Request): GuestChannel {
    if (this.#problem !== undefined) throw this.#problem
    if (this.#channels.size >= agentLimits.maxChannels) {
      throw new Problem('LIMIT_EXCEEDED', `the guest has ${agentLimits.maxChannels} requests under way already`)
    }
    const message: HostMessage = { ...request, channel: this.#lastId + 1 }
    const channel: GuestChannel = new GuestChannel({
      request: message,
      send: (follow) => this.#follow(channel, follow),
      cancel: () => this.cancel(channel, new Problem('CANCELLED', 'nobody waits for the answer of the guest any more')),
    })
    this.#link.send(message)
    this.#lastId = channel.id
    this.#channels.set(channel.id, channel)
    return channel
  }

  /** Says something about a channel, unless it is over. */
  send(channel: GuestChannel, message: Request): void {
    this.#follow(channel, { ...message, channel: channel.id })
  }

  /** Tells the guest to give up, and whoever waits here that it is given up. The guest's own last word is still awaited, by nobody. */
  cancel(channel: GuestChannel, problem: Problem): void {
    this.send(channel, { kind: 'cancel' })
    channel.abandon(problem)
  }

  /** Sends input as the guest makes room for it; resolves at once when nobody there takes it any more. */
  async sendInput(channel: GuestChannel, bytes: Buffer): Promise<void> {
    let rest = bytes
    while (rest.length > 0) {
      const taken = await channel.input.take(this.#pieceOf(rest))
      if (taken === 0) return
      this.send(channel, { kind: 'input', bytes: rest.subarray(0, taken) })
      rest = rest.subarray(taken)
      await this.#link.drained()
    }
  }

  close(problem: Problem): void {
    this.#link.close(problem)
  }

  #pieceOf(bytes: Buffer): number {
    const at = this.#link.findKey(bytes)
    return Math.min(bytes.length, maxPiece, at < 0 ? bytes.length : at + agentLimits.keyBytes / 2)
  }

  #follow(channel: GuestChannel, message: HostMessage): void {
    if (!channel.isOver) this.#link.send(message)
  }

  #take(message: AgentMessage): void {
    switch (message.kind) {
      case 'hello':
        this.#greet(message)
        return
      case 'ready':
        if (this.#greeted !== 'hello') throw outOfTurn('READY')
        this.#greeted = 'ready'
        this.ready.resolve({ uptimeMs: message.uptimeMs })
        return
      case 'fault':
        throw new Problem('AGENT_PROTOCOL', `the guest's agent did not understand cowshed: ${message.reason}`)
      default: {
        const channel = this.#channels.get(message.channel)
        if (channel === undefined) throw outOfTurn(message.kind)
        if (channel.take(message)) this.#channels.delete(channel.id)
      }
    }
  }

  #greet({ protocol, agentVersion, bootId }: Extract<AgentMessage, { kind: 'hello' }>): void {
    if (this.#greeted !== 'nothing') throw outOfTurn('HELLO')
    if (protocol !== protocolVersion) {
      throw new Problem(
        'AGENT_PROTOCOL',
        `the guest's agent speaks protocol ${protocol}, cowshed speaks ${protocolVersion}`,
        {
          hint: 'stop and start the shed: it then boots with the agent of this cowshed',
        },
      )
    }
    this.#greeted = 'hello'
    this.hello.resolve({ protocol, agentVersion, bootId })
  }

  #closed(problem: Problem): void {
    this.#problem = problem
    const channels = [...this.#channels.values()]
    this.#channels.clear()
    for (const channel of channels) channel.fail(problem)
    this.hello.reject(problem)
    this.ready.reject(problem)
    this.closed.resolve()
  }
}

const maxPiece = 32_768

function outOfTurn(what: string): Problem {
  return new Problem('AGENT_PROTOCOL', `the guest sent ${what}, which nobody asked for`)
}
