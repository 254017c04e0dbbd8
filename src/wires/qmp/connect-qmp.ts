import { connect, type Socket } from 'node:net'
import { isProblem, Problem, printable } from '../../base/index.ts'
import { LineSplitter } from './line-splitter.ts'
import { parseQmpMessage, type QmpEvent, type QmpGreeting, type QmpMessage, type QmpObject } from './qmp-message.ts'

export interface ConnectQmp {
  readonly signal?: AbortSignal
  /** How long the greeting and each command may take, in milliseconds; 10,000 when left out. */
  readonly timeoutMs?: number
  /** Called for every event, in order. Given here and not later, so that the first event cannot be missed. */
  readonly onEvent?: (event: QmpEvent) => void
}

/** A conversation with QEMU's monitor. */
export interface QmpConnection {
  readonly greeting: QmpGreeting
  /**
   * Runs a command and gives back what QEMU returns.
   *
   * @throws Problem QMP_FAILED when QEMU refuses (data: class, command), answers nothing in time, or is gone
   */
  execute(command: string, commandArguments?: QmpObject): Promise<unknown>
  /** Settles when the conversation is over, whoever ended it; never rejects. Undefined when it was ended in order. */
  readonly closed: Promise<Problem | undefined>
  /** Ends the conversation; QEMU runs on, and another may connect. */
  close(): void
}

/** QEMU's longest answers are schemas of a few hundred kB, which nobody here asks for. */
const maxLineBytes = 4 * 1024 * 1024

/**
 * Connects to a QMP socket and negotiates. QEMU talks to one client at a time: a second one waits for its greeting until the first is gone.
 *
 * @throws Problem QMP_FAILED when nobody listens, or whoever does is not a QMP server; CANCELLED
 * @see QEMU, docs/interop/qmp-spec.rst
 */
export async function connectQmp(socketPath: string, options: ConnectQmp = {}): Promise<QmpConnection> {
  const { signal, timeoutMs = 10_000 } = options
  if (signal?.aborted) throw cancelled(socketPath)
  const conversation = new Conversation({ path: socketPath, timeoutMs, onEvent: options.onEvent ?? (() => {}) })
  const onAbort = () => conversation.end(cancelled(socketPath))
  signal?.addEventListener('abort', onAbort)
  try {
    const greeting = await conversation.greeted()
    await conversation.execute('qmp_capabilities')
    return {
      greeting,
      execute: (command, commandArguments) => conversation.execute(command, commandArguments),
      closed: conversation.closed,
      close: () => conversation.end(undefined),
    }
  } catch (error) {
    conversation.end(undefined)
    throw error
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

interface Waiting {
  readonly command: string
  readonly resolve: (value: unknown) => void
  readonly reject: (problem: Problem) => void
}

interface ConversationOptions {
  readonly path: string
  readonly timeoutMs: number
  readonly onEvent: (event: QmpEvent) => void
}

class Conversation {
  readonly closed: Promise<Problem | undefined>
  readonly #path: string
  readonly #timeoutMs: number
  readonly #socket: Socket
  readonly #lines = new LineSplitter(maxLineBytes)
  readonly #waiting = new Map<number, Waiting>()
  readonly #onEvent: (event: QmpEvent) => void
  #nextId = 1
  #ended: { readonly why: Problem | undefined } | undefined
  #settleClosed: (why: Problem | undefined) => void = () => {}

  constructor({ path, timeoutMs, onEvent }: ConversationOptions) {
    this.#onEvent = onEvent
    this.#path = path
    this.#timeoutMs = timeoutMs
    this.closed = new Promise((resolve) => {
      this.#settleClosed = resolve
    })
    this.#socket = connect(path)
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', (error) => this.end(this.#lost(error.message, error)))
    this.#socket.on('close', () => this.end(undefined))
  }

  /** Id 0 is never sent, so the greeting can wait among the answers. */
  greeted(): Promise<QmpGreeting> {
    return this.#answer(0, 'the greeting') as Promise<QmpGreeting>
  }

  async execute(command: string, commandArguments: QmpObject = {}): Promise<unknown> {
    const id = this.#nextId++
    const answer = this.#answer(id, command)
    if (this.#ended === undefined) {
      this.#socket.write(`${JSON.stringify({ execute: command, arguments: commandArguments, id })}\n`)
    }
    return await answer
  }

  /** The first reason counts. Whoever waits for an answer gets an error. */
  end(why: Problem | undefined): void {
    if (this.#ended !== undefined) return
    this.#ended = { why }
    this.#socket.destroy()
    for (const { command, reject } of this.#waiting.values()) reject(this.#unanswered(command))
    this.#waiting.clear()
    this.#settleClosed(why)
  }

  async #answer(id: number, command: string): Promise<unknown> {
    if (this.#ended !== undefined) throw this.#unanswered(command)
    const timer = setTimeout(() => this.#giveUp(id), this.#timeoutMs)
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { command, resolve, reject })
      })
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  #giveUp(id: number): void {
    const waiting = this.#waiting.get(id)
    waiting?.reject(
      new Problem('QMP_FAILED', `QEMU has not answered ${waiting.command} for ${this.#timeoutMs} ms (${this.#path})`, {
        hint: 'another client may be connected to its monitor, or the host is overloaded',
        data: { command: waiting.command },
      }),
    )
  }

  #read(chunk: Buffer): void {
    try {
      for (const line of this.#lines.push(chunk)) this.#dispatch(parseQmpMessage(line))
    } catch (error) {
      this.end(isProblem(error) ? this.#lost(error.message, error) : this.#lost(String(error), error))
    }
  }

  #dispatch(message: QmpMessage): void {
    switch (message.kind) {
      case 'greeting':
        this.#waiting.get(0)?.resolve(message.greeting)
        break
      case 'event':
        this.#onEvent(message.event)
        break
      case 'return':
        this.#waiting.get(message.id ?? -1)?.resolve(message.value)
        break
      case 'error':
        this.#refuse(message)
    }
  }

  /** An error without an id answers something that QEMU could not even parse: then nothing more can be matched. */
  #refuse({ id, class: errorClass, description }: Extract<QmpMessage, { kind: 'error' }>): void {
    const waiting = this.#waiting.get(id ?? -1)
    if (id === undefined) this.end(this.#lost(printable(description)))
    waiting?.reject(
      new Problem('QMP_FAILED', `QEMU refused ${waiting.command}: ${printable(description)}`, {
        data: { command: waiting.command, class: errorClass },
      }),
    )
  }

  #unanswered(command: string): Problem {
    const why = this.#ended?.why
    if (why?.code === 'CANCELLED') return why
    const reason = why?.message ?? 'the conversation is over'
    return new Problem('QMP_FAILED', `no answer to ${command}: ${reason}`, { cause: why, data: { command } })
  }

  #lost(reason: string, cause?: unknown): Problem {
    return new Problem('QMP_FAILED', `lost QEMU's monitor at ${this.#path}: ${reason}`, { cause })
  }
}

function cancelled(path: string): Problem {
  return new Problem('CANCELLED', `stopped connecting to ${path}`)
}
