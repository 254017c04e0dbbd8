import { Problem, printable } from '../../base/index.ts'
import { type AgentMessage, agentStreams, errnoName, type HostMessage, isMissing } from '../../formats/index.ts'
import { type Deferred, deferred } from './deferred.ts'
import { InputWindow } from './input-window.ts'
import { OutputStream } from './output-stream.ts'

export type ChannelMessage = Extract<AgentMessage, { channel: number }>
export type Final = Extract<ChannelMessage, { kind: 'ok' | 'exit' }>

/** What the agent may answer to a request, by the specification. */
interface Rules {
  readonly streams: readonly number[]
  readonly starts: boolean
  readonly final: 'ok' | 'exit'
}

const plain: Rules = { streams: [], starts: false, final: 'ok' }
const oneStream: Rules = { streams: [agentStreams.stdout], starts: true, final: 'ok' }

function rulesFor(request: HostMessage): Rules {
  switch (request.kind) {
    case 'exec': {
      const streams = request.tty ? [agentStreams.stdout] : [agentStreams.stdout, agentStreams.stderr]
      return { streams, starts: true, final: 'exit' }
    }
    case 'list':
    case 'read':
      return oneStream
    case 'write':
      return { ...plain, starts: true }
    default:
      return plain
  }
}

/** One request and everything that the guest answers to it, in an order that the specification allows. */
export class GuestChannel {
  readonly id: number
  readonly started: Deferred<Buffer> = deferred()
  readonly final: Deferred<Final> = deferred()
  readonly input = new InputWindow()
  readonly #request: HostMessage
  readonly #rules: Rules
  readonly #outputs: ReadonlyMap<number, OutputStream>
  #hasStarted = false
  #isOver = false

  constructor({ request, send, cancel }: ChannelOptions) {
    this.id = request.channel
    this.#request = request
    this.#rules = rulesFor(request)
    // A program goes on without its reader; a file that nobody reads any more need not be sent.
    const givenUp = request.kind === 'exec' ? () => {} : cancel
    const open = (stream: number) => {
      const giveCredit = (bytes: number) => send({ kind: 'outputCredit', channel: this.id, stream, bytes })
      return new OutputStream({ giveCredit, givenUp })
    }
    this.#outputs = new Map(this.#rules.streams.map((stream) => [stream, open(stream)]))
  }

  /** Whether the guest has said its last word about this channel, or never will. */
  get isOver(): boolean {
    return this.#isOver
  }

  output(stream: number): OutputStream {
    const output = this.#outputs.get(stream)
    if (output === undefined) throw this.#violation(`output on stream ${stream}`)
    return output
  }

  /** @returns whether the channel has ended @throws Problem AGENT_PROTOCOL */
  take(message: ChannelMessage): boolean {
    switch (message.kind) {
      case 'started':
        this.#start(message.reply)
        return false
      case 'output':
        this.#mustHaveStarted(message)
        this.output(message.stream).push(message.bytes)
        return false
      case 'outputEnd':
        this.#mustHaveStarted(message)
        this.output(message.stream).end()
        return false
      case 'inputCredit':
        this.input.add(message.bytes)
        return false
      case 'error':
        this.fail(guestProblem(message))
        return true
      case 'ok':
      case 'exit':
        this.#finish(message)
        return true
    }
  }

  /** Everybody who waits for something of this channel gets the problem; what has come can still be read. */
  fail(problem: Problem): void {
    this.#isOver = true
    this.input.close()
    for (const output of this.#outputs.values()) output.fail(problem)
    this.started.reject(problem)
    this.final.reject(problem)
  }

  /** Nobody here is interested any more; the guest may still have to say so. */
  abandon(problem: Problem): void {
    for (const output of this.#outputs.values()) output.giveUp()
    this.input.close()
    this.started.reject(problem)
    this.final.reject(problem)
  }

  #start(reply: Buffer): void {
    if (!this.#rules.starts || this.#hasStarted) throw this.#violation('STARTED')
    this.#hasStarted = true
    this.started.resolve(reply)
  }

  #mustHaveStarted(message: ChannelMessage): void {
    if (!this.#hasStarted) throw this.#violation(message.kind)
  }

  #finish(message: Final): void {
    const allOut = [...this.#outputs.values()].every((output) => output.ended)
    if (message.kind !== this.#rules.final || this.#hasStarted !== this.#rules.starts || !allOut) {
      throw this.#violation(message.kind)
    }
    this.#isOver = true
    this.input.close()
    this.final.resolve(message)
  }

  #violation(what: string): Problem {
    return new Problem('AGENT_PROTOCOL', `the guest answered ${what} to ${this.#request.kind}, out of turn`)
  }
}

export interface ChannelOptions {
  readonly request: HostMessage
  readonly send: (message: HostMessage) => void
  readonly cancel: () => void
}

function guestProblem({ errno, message }: Extract<AgentMessage, { kind: 'error' }>): Problem {
  const data = { errno: errnoName(errno) }
  if (isMissing(errno)) return new Problem('GUEST_FILE_NOT_FOUND', `not in the guest: ${printable(message)}`, { data })
  return new Problem('GUEST_FAILED', `the guest says: ${printable(message)}`, { data })
}
