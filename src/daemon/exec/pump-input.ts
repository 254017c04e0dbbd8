import { isProblem, Problem } from '../../base/index.ts'
import { ExecControl, execStreams } from '../../contract/index.ts'
import type { AgentExec } from '../../wires/index.ts'
import { parsePart } from '../http/parse-part.ts'
import type { SocketMessage, SocketMessages } from './socket-messages.ts'

/**
 * Does what the client sends, one message after the other, until it is gone.
 *
 * @throws Problem INVALID_REQUEST for a message that makes no sense
 */
export async function pumpInput(messages: SocketMessages, exec: AgentExec): Promise<void> {
  for (;;) {
    const message = await messages.next()
    if (message === undefined) return
    try {
      await act(message, exec)
    } catch (error) {
      // The program may end, or close its stdin, while the client still sends: that is no error of anybody's.
      if (isProblem(error, 'INVALID_REQUEST')) throw error
    }
  }
}

async function act({ data, isBinary }: SocketMessage, exec: AgentExec): Promise<void> {
  if (isBinary) {
    if (data[0] !== execStreams.stdin) throw new Problem('INVALID_REQUEST', `stream ${data[0]} is not one to write to`)
    return exec.writeStdin(data.subarray(1))
  }
  const control = parseControl(data)
  switch (control.type) {
    case 'stdin_end':
      return exec.endStdin()
    case 'resize':
      return exec.resize(control.rows, control.cols)
    case 'signal':
      return exec.signal(control.signal)
    default:
      throw new Problem('INVALID_REQUEST', `a client does not send ${control.type}`)
  }
}

function parseControl(data: Buffer): ExecControl {
  let value: unknown
  try {
    value = JSON.parse(data.toString('utf8'))
  } catch (error) {
    throw new Problem('INVALID_REQUEST', 'a text message is not JSON', { cause: error })
  }
  return parsePart(ExecControl, value, 'message')
}
