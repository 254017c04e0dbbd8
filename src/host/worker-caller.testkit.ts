/** A program that runs the worker of worker-job.testkit.ts and prints its result, for the test of the bundle. */
import { runInWorker } from './index.ts'

const module = new URL('./worker-job.testkit.ts', import.meta.url)
const result = await runInWorker({ name: 'test-job', module, input: { do: 'echo' } })
console.log(JSON.stringify(result))
