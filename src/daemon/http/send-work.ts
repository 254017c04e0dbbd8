import type { ServerResponse } from 'node:http'
import type { OnProgress, Progress } from '../../base/index.ts'
import { errorReply, problemForClient } from './error-reply.ts'
import { openEventStream } from './event-stream.ts'
import { ProgressQueue } from './progress-queue.ts'

/**
 * Answers with long work as it goes: `progress` events, then one `complete` with the reply, or one `error`. A client that does not keep up
 * gets less of the progress, and all of the rest.
 *
 * @returns what was thrown, for the log
 */
export async function sendWork(
  raw: ServerResponse,
  work: (onProgress: OnProgress) => Promise<unknown>,
): Promise<unknown> {
  const stream = openEventStream(raw)
  const queue = new ProgressQueue({
    backlog: stream.backlog,
    send: (progress) => stream.send({ event: 'progress', data: progress }),
  })
  raw.on('drain', () => queue.flush())
  try {
    const reply = await work(thinned((progress) => queue.add(progress)))
    queue.flush()
    stream.send({ event: 'complete', data: reply ?? {} })
    return undefined
  } catch (error) {
    queue.flush()
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
