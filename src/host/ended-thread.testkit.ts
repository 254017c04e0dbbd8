/** A program whose first thread ends while others go on: `ended-thread.testkit.ts`. It says so before. */
import { writeSync } from 'node:fs'
import koffi from 'koffi'

const syscall = koffi.load(null).func('long syscall(long number, int status)') as (
  number: number,
  status: number,
) => number
writeSync(1, 'ending\n')
// exit(2) itself, of the calling thread alone; libc's ends the whole process.
syscall(process.arch === 'arm64' ? 93 : 60, 0)
