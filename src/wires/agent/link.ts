import { randomBytes } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { isProblem, Problem } from '../../base/index.ts'
import {
  type AgentMessage,
  agentLimits,
  decodeAgentMessage,
  encodeHostMessage,
  encodeSync,
  FrameParser,
  type HostMessage,
  NonceFinder,
} from '../../formats/index.ts'

export interface LinkEvents {
  /** @throws Problem AGENT_PROTOCOL, which ends the link */
  message(message: AgentMessage): void
  /** Once, with the reason. */
  closed(problem: Problem): void
}

/** Messages to and from an agent over one socket. */
export interface Link {
  /** Does nothing once the link is closed. */
  send(message: HostMessage): void
  /** Resolves when the socket takes more, or is closed. */
  drained(): Promise<void>
  /** Where the 16 bytes of the key begin in `bytes`, or -1: they must never cross in one piece, or the agent would think that a new host is there. */
  findKey(bytes: Buffer): number
  close(problem: Problem): void
}

/** Connects, synchronises, and goes on with frames. Nothing is sent before the agent has answered. */
export function openLink({
  socketPath,
  key,
  events,
}: {
  readonly socketPath: string
  readonly key: Buffer
  readonly events: LinkEvents
}): Link {
  const nonce = randomBytes(agentLimits.nonceBytes)
  const receive = receiver(nonce, events)
  const socket = createConnection(socketPath)
  let problem: Problem | undefined

  const close = (reason: Problem) => {
    if (problem !== undefined) return
    problem = reason
    socket.destroy()
    events.closed(reason)
  }
  socket.on('connect', () => socket.write(encodeSync(key, nonce)))
  socket.on('data', (chunk: Buffer) => {
    if (problem !== undefined) return
    try {
      receive(chunk)
    } catch (error) {
      close(isProblem(error) ? error : new Problem('INTERNAL', 'a frame of the guest broke cowshed', { cause: error }))
    }
  })
  socket.on('error', (cause) => close(unreachable(`the guest's agent cannot be reached: ${cause.message}`, cause)))
  socket.on('close', () => close(unreachable("the connection to the guest's agent is gone")))
  return {
    send: (message) => {
      const bytes = encodeHostMessage(message)
      if (problem === undefined) socket.write(bytes)
    },
    drained: () => drained(socket),
    findKey: (bytes) => bytes.indexOf(key),
    close,
  }
}

function receiver(nonce: Buffer, events: LinkEvents): (chunk: Buffer) => void {
  const parser = new FrameParser()
  let finder: NonceFinder | undefined = new NonceFinder(nonce)
  return (chunk) => {
    const bytes = finder === undefined ? chunk : finder.push(chunk)
    if (bytes === undefined) return
    finder = undefined
    for (const frame of parser.push(bytes)) events.message(decodeAgentMessage(frame))
  }
}

async function drained(socket: Socket): Promise<void> {
  if (!socket.writableNeedDrain) return
  await new Promise<void>((resolve) => {
    const done = () => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.on('drain', done)
    socket.on('close', done)
  })
}

export function unreachable(message: string, cause?: unknown): Problem {
  return new Problem('AGENT_UNREACHABLE', message, {
    hint: 'see what the guest says: cowshed logs NAME',
    ...(cause === undefined ? {} : { cause }),
  })
}
