import { parentPort } from 'node:worker_threads'
import { Problem } from '../base/index.ts'
import { type CallReply, type CallRequest, endOfJob, problemToWire } from './worker-report.ts'

/**
 * The other end of openWorker: a worker module's one statement.
 *
 * @param answer gets the input of a call (its type is an agreement of the two); what it returns or throws is what the call returns or throws
 */
export function serveCalls<I, T>(answer: (input: I) => T): void {
  const port = parentPort
  if (port === null) throw new Problem('INTERNAL', 'serveCalls was called outside of a worker')
  port.on('message', (message: CallRequest | typeof endOfJob) => {
    if (message === endOfJob) process.exit()
    port.postMessage(replyTo(message, answer))
  })
}

function replyTo<I, T>({ id, input }: CallRequest, answer: (input: I) => T): CallReply {
  try {
    return { kind: 'done', id, value: answer(input as I) }
  } catch (error) {
    return { kind: 'failed', id, problem: problemToWire(error) }
  }
}
