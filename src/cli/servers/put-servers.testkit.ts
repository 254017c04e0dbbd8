/** A program that adds servers until it is killed: `put-servers.testkit.ts <directory>`. It says when it has begun. */
import { writeSync } from 'node:fs'
import { serverBook } from './server-book.ts'

const book = serverBook(process.argv[2] ?? '')
for (let round = 0; ; round++) {
  const token = `token-${round % 10}`.repeat(2000)
  await book.put('alpha', { url: 'https://127.0.0.1:7443', token })
  await book.setDefault('alpha')
  if (round === 0) writeSync(1, 'begun\n')
}
