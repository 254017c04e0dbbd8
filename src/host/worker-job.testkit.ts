/** A worker for the tests of runInWorker: it does what its input says. */

import { readFileSync } from 'node:fs'
import { threadId } from 'node:worker_threads'
import { Problem } from '../base/index.ts'
import { decompress, type GrowingFile, giveWay, readGrowingFile, serveWorker } from './index.ts'

interface Input {
  readonly do:
    | 'echo'
    | 'problem'
    | 'error'
    | 'uncaught'
    | 'exit'
    | 'forever'
    | 'decompress'
    | 'unclonable'
    | 'follow'
    | 'hoard'
    | 'give way'
    | 'say who'
  readonly stream?: Uint8Array
  readonly file?: GrowingFile
}

serveWorker(async (input: Input, post) => {
  post({ step: 1 })
  post({ step: 2 })
  switch (input.do) {
    case 'problem':
      throw new Problem('TAR_INVALID', 'a bad entry', {
        hint: 'pull it again',
        data: { entry: 3 },
        cause: new Error('why'),
      })
    case 'error':
      throw new TypeError('a defect')
    case 'uncaught':
      setTimeout(() => {
        throw new RangeError('out of the blue')
      })
      await new Promise((resolve) => setTimeout(resolve, 60_000))
      break
    case 'exit':
      process.exit(3)
      break
    case 'forever':
      for (;;);
    case 'hoard': {
      const hoard: object[] = []
      for (;;) hoard.push({ hoard })
    }
    case 'give way':
      giveWay()
      // proc(5): the 19th field, and the name in brackets may hold blanks.
      return Number(readFileSync('/proc/thread-self/stat', 'utf8').split(') ')[1]?.split(' ')[16])
    case 'say who':
      return threadId
    case 'unclonable':
      return () => {}
    case 'follow': {
      let bytes = 0
      if (input.file !== undefined) for await (const piece of readGrowingFile(input.file, 65_536)) bytes += piece.length
      return bytes
    }
    case 'decompress':
      for (;;) await drain(input.stream ?? new Uint8Array())
  }
  return { echo: input, bytes: new Uint8Array([1, 2, 3]) }
})

async function drain(stream: Uint8Array): Promise<void> {
  const source = async function* () {
    yield Buffer.from(stream)
  }
  for await (const piece of decompress(source(), { compression: 'zstd' })) if (piece.length === 0) return
}
