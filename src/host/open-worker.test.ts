import { expect, test } from 'vitest'
import { openWorker } from './index.ts'

const open = () => openWorker({ name: 'test-calls', module: new URL('./worker-calls.testkit.ts', import.meta.url) })

test('a thread remembers between calls, and answers each its own', async () => {
  const worker = open()
  expect(await Promise.all([1, 2, 3].map((add) => worker.call({ add })))).toEqual([1, 3, 6])
  expect(await worker.call({ add: 4 })).toBe(10)
  await worker.close()
})

test('a call that throws fails alone', async () => {
  const worker = open()
  const answers = await Promise.allSettled([
    worker.call({ add: 1 }),
    worker.call({ problem: 'no' }),
    worker.call({ add: 1 }),
  ])
  expect(answers).toMatchObject([
    { value: 1 },
    { reason: { code: 'TAR_INVALID', message: 'no', hint: 'try again' } },
    { value: 2 },
  ])
  await worker.close()
})

test('a thread that dies fails the calls that wait for it, and another is started for the next', async () => {
  const worker = open()
  await worker.call({ add: 5 })
  await expect(worker.call({ exit: 3 })).rejects.toMatchObject({
    code: 'INTERNAL',
    message: expect.stringContaining('code 3'),
  })
  expect(await worker.call({ add: 1 })).toBe(1)
  await worker.close()
})

test('what waits when the service is closed hears of it', async () => {
  const worker = open()
  const waiting = worker.call({ add: 1 })
  const closed = worker.close()
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })
  await closed
})
