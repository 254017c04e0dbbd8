import type { WebSocket } from 'ws'
import { Problem } from '../../base/index.ts'
import { type ExecControl, ExecRequest, execStreams } from '../../contract/index.ts'
import type { AgentExec } from '../../wires/index.ts'
import { problemForClient } from '../http/error-reply.ts'
import { parsePart } from '../http/parse-part.ts'
import { pumpInput } from './pump-input.ts'
import { pumpOutput } from './pump-output.ts'
import { type SocketMessages, socketMessages } from './socket-messages.ts'

export interface RunSession {
  readonly socket: WebSocket
  /** Starts the program that the client asked for. */
  readonly open: (request: ExecRequest) => Promise<AgentExec>
  /** Aborted when the client goes away or the daemon stops. */
  readonly signal: AbortSignal
}

/**
 * One conversation of …/exec or …/shell: the request, the streams both ways, the exit. Neither side can make the daemon hold more than a
 * few chunks. When the client goes away the program gets SIGHUP, as from a terminal that was closed.
 *
 * Resolves when the conversation is over; what went wrong before the program ran has been told to the client, and is thrown for the log.
 */
export async function runSession({ socket, open, signal }: RunSession): Promise<void> {
  const messages = socketMessages(socket)
  try {
    const exec = await open(await readRequest(messages))
    await converse({ socket, messages, exec, signal })
    socket.close(1000)
  } catch (error) {
    const { code, message, hint } = problemForClient(error)
    send(socket, { type: 'error', code, message, ...(hint === undefined ? {} : { hint }) })
    socket.close(1011)
    throw error
  }
}

async function readRequest(messages: SocketMessages): Promise<ExecRequest> {
  const first = await messages.next()
  if (first === undefined) throw new Problem('CANCELLED', 'the client went away before it said what to run')
  if (first.isBinary) throw new Problem('INVALID_REQUEST', 'the first message must be text, an ExecRequest')
  return parsePart(ExecRequest, parseJson(first.data), 'message')
}

interface Conversation {
  readonly socket: WebSocket
  readonly messages: SocketMessages
  readonly exec: AgentExec
  readonly signal: AbortSignal
}

async function converse({ socket, messages, exec, signal }: Conversation): Promise<void> {
  const cancel = () => exec.cancel()
  if (signal.aborted) cancel()
  else signal.addEventListener('abort', cancel, { once: true })
  send(socket, { type: 'started', pid: exec.pid })
  const inputProblem = pumpInput(messages, exec).then(
    () => undefined,
    (error: unknown) => {
      exec.cancel()
      return error
    },
  )
  try {
    await pumpOutputs(socket, exec)
    const { code, signal: killedBy } = await exec.exit
    send(socket, { type: 'exit', code, ...(killedBy === undefined ? {} : { signal: killedBy }) })
  } catch (error) {
    messages.stop()
    // A program that was hung up on has failed for the reason of that, not for what it looks like from here.
    throw (await inputProblem) ?? (signal.aborted ? signal.reason : error)
  } finally {
    signal.removeEventListener('abort', cancel)
    messages.stop()
  }
}

function pumpOutputs(socket: WebSocket, { stdout, stderr }: AgentExec): Promise<unknown> {
  return Promise.all([pumpOutput(socket, execStreams.stdout, stdout), pumpOutput(socket, execStreams.stderr, stderr)])
}

function send(socket: WebSocket, control: ExecControl): void {
  if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(control))
}

function parseJson(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString('utf8'))
  } catch (error) {
    throw new Problem('INVALID_REQUEST', 'the first message is not JSON', { cause: error })
  }
}
