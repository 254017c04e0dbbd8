import { appendFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { noise } from '../../test/support/image-builder.ts'
import { temporaryDirectory } from '../../test/support/temporary-directory.ts'
import { FileGrowth, readGrowingFile } from './file-growth.ts'
import { runInWorker } from './run-in-worker.ts'

async function readAll(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all)
}

test('a file is read as it grows, to the size that it was said to get', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'growing')
  await writeFile(path, '')
  const [content, growth] = [noise(500_000), new FileGrowth()]
  const reading = readAll(readGrowingFile({ path, size: content.length, growth: growth.shared }, 64_000))
  for (let at = 0; at < content.length; at += 90_000) {
    await appendFile(path, content.subarray(at, at + 90_000))
    growth.reach(Math.min(content.length, at + 90_000))
    await setTimeout(1)
  }
  expect(await reading).toEqual(content)
})

test('what is there already is read at once, and what is empty is over at once', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'whole')
  await writeFile(path, 'whole')
  const growth = new FileGrowth()
  growth.reach(5)
  expect((await readAll(readGrowingFile({ path, size: 5, growth: growth.shared }, 2))).toString()).toBe('whole')
  expect(await readAll(readGrowingFile({ path, size: 0, growth: new FileGrowth().shared }, 2))).toEqual(Buffer.alloc(0))
})

test('a reader of a file that is given up, or that shrinks, fails', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'given-up')
  await writeFile(path, 'abc')
  const growth = new FileGrowth()
  growth.reach(3)
  const reading = readAll(readGrowingFile({ path, size: 10, growth: growth.shared }, 2))
  const failing = expect(reading).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' })
  await setTimeout(20)
  growth.giveUp()
  await failing
  await truncate(path, 0)
  const shrunk = new FileGrowth()
  shrunk.reach(3)
  await expect(readAll(readGrowingFile({ path, size: 10, growth: shrunk.shared }, 2))).rejects.toMatchObject({
    code: 'FILE_NOT_FOUND',
  })
})

test('another thread hears of it', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'growing')
  await writeFile(path, '')
  const [content, growth] = [noise(200_000), new FileGrowth()]
  const job = runInWorker<number>({
    name: 'worker-job',
    module: new URL('./worker-job.testkit.ts', import.meta.url),
    input: { do: 'follow', file: { path, size: content.length, growth: growth.shared } },
  })
  for (let at = 0; at < content.length; at += 50_000) {
    await appendFile(path, content.subarray(at, at + 50_000))
    growth.reach(Math.min(content.length, at + 50_000))
    await setTimeout(5)
  }
  expect(await job).toBe(content.length)
})
