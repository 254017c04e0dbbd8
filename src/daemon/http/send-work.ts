import type { ServerResponse } from 'node:http'
import type { OnProgress, Progress } from '../../base/index.ts'
import { errorReply, problemForClient } from './error-reply.ts'
import { openEventStream } from './event-stream.ts'

/**
 * Answers with long work as it goes: `progress` events, then one `complete` with the reply, or one `error`.
 *
 * @returns what was thrown, for the log
 */
export async function sendWork(
  raw: ServerResponse,
  work: (onProgress: OnProgress) => Promise<unknown>,
): Promise<unknown> {
  const stream = openEventStream(raw)
  try {
    const reply = await work(thinned((progress) => stream.send({ event: 'progress', data: progress })))
    stream.send({ event: 'complete', data: reply ?? {} })
    return undefined
  } catch (error) {
    stream.send({ event: 'error', data: errorReply(problemForClient(error)) })
    return error
  } finally {
    stream.end()
  }
}

const intervalMs = 50

/** Passes on the first and the last of each phase and item, and between them no more than a terminal can show. */
function thinned(onProgress: OnProgress): OnProgress {
  // By phase and item: layers that come side by side report in turns.
  const sentAt = new Map<string, number>()
  return (progress: Progress) => {
    const key = `${progress.phase} ${progress.item ?? ''}`
    const now = performance.now()
    const isLast = progress.done === progress.total
    if (progress.message !== undefined) return onProgress(progress)
    if (!isLast && now - (sentAt.get(key) ?? Number.NEGATIVE_INFINITY) < intervalMs) return
    sentAt.set(key, now)
    onProgress(progress)
  }
}
