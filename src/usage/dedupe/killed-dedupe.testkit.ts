/** A dedupe that is killed (SIGKILL) at the nth step of its progress: `killed-dedupe.testkit.ts <directory> <n>`. */
import { dedupeFiles } from './dedupe-files.ts'
import { jobOn } from './dedupe-job.testkit.ts'

const [directory = '', limit = ''] = process.argv.slice(2)
let steps = 0
await dedupeFiles(jobOn(directory, { dryRun: false }), () => {
  if (steps++ === Number(limit)) process.kill(process.pid, 'SIGKILL')
})
