import { problemFromSystem } from '../../base/index.ts'
import { idleInputOutput, serveWorker } from '../../host/index.ts'
import { dedupeFiles, type OnDeduped } from './dedupe-files.ts'
import type { DedupeJob, DedupeResult, DedupeStep } from './dedupe-job.ts'

serveWorker(async (job: DedupeJob, post: (step: DedupeStep) => void): Promise<DedupeResult> => {
  idleInputOutput()
  try {
    return await dedupeFiles(job, thinned(post))
  } catch (error) {
    throw problemFromSystem(error, `look for what files below ${job.root} have in common`)
  }
})

/** Nobody sees more of a second than this; milliseconds. */
const seenMs = 50

function thinned(post: (step: DedupeStep) => void): OnDeduped {
  let last = 0
  return (phase, done, total) => {
    if (done < total && performance.now() - last < seenMs) return
    last = performance.now()
    post({ phase, done, total })
  }
}
