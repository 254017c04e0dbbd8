import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Transitions } from './transitions.ts'

test('transitions of one name run one at a time, in the order in which they were asked for', async () => {
  const transitions = new Transitions(5_000)
  const log: string[] = []
  const step = (label: string) =>
    transitions.run('a', async () => {
      log.push(`${label} begins`)
      await sleep(5)
      log.push(`${label} ends`)
    })
  await Promise.all([step('1'), step('2'), step('3')])
  expect(log).toEqual(['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends'])
})

test('transitions of different names do not wait for each other', async () => {
  const transitions = new Transitions(5_000)
  let release = () => {}
  const held = transitions.run(
    'a',
    () =>
      new Promise<void>((resolve) => {
        release = resolve
      }),
  )
  expect(await transitions.run('b', async () => 'done')).toBe('done')
  release()
  await held
})

test('work on what rests ends as soon as there is a transition or the daemon is going, and no transition waits for it', async () => {
  const transitions = new Transitions(5_000)
  const untilDisturbed = (signal: AbortSignal) =>
    new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve('disturbed')))
  const work = transitions.whileAtRest('a', untilDisturbed)
  await expect(transitions.whileAtRest('a', untilDisturbed)).rejects.toMatchObject({ code: 'CANCELLED' })
  await transitions.run('b', async () => undefined)
  const changed = await transitions.run('a', async () => {
    await expect(transitions.whileAtRest('a', untilDisturbed)).rejects.toMatchObject({ code: 'CANCELLED' })
    return await work
  })
  expect(changed).toBe('disturbed')
  const late = transitions.whileAtRest('b', untilDisturbed)
  await transitions.close(5_000)
  expect(await late).toBe('disturbed')
  await expect(transitions.whileAtRest('b', untilDisturbed)).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('a failed transition lets the next one in', async () => {
  const transitions = new Transitions(5_000)
  const failed = transitions.run('a', async () => {
    throw new Error('no')
  })
  const next = transitions.run('a', async () => 'yes')
  await expect(failed).rejects.toThrow('no')
  expect(await next).toBe('yes')
})

test('who waits too long is told, and does not break the queue for those behind', async () => {
  const transitions = new Transitions(20)
  let release = () => {}
  const held = transitions.run(
    'a',
    () =>
      new Promise<void>((resolve) => {
        release = resolve
      }),
  )
  const impatient = transitions.run('a', async () => 'never')
  await expect(impatient).rejects.toMatchObject({ code: 'SHED_BUSY', hint: expect.stringContaining('inspect a') })
  let ran = false
  const behind = transitions.run('a', async () => {
    ran = true
  })
  await sleep(5)
  expect(ran).toBe(false)
  release()
  await Promise.all([held, behind])
  expect(ran).toBe(true)
})

test('an end lets what is under way end, tells it to hurry, and begins nothing more', async () => {
  const transitions = new Transitions(1000)
  const told: unknown[] = []
  const running = transitions.run('a', async () => {
    told.push('began')
    await new Promise<void>((resolve) => transitions.closing.addEventListener('abort', () => resolve()))
    told.push((transitions.closing.reason as { code: string }).code)
  })
  const waiting = transitions.run('a', async () => told.push('began too'))
  await sleep(5)
  const closed = transitions.close(10_000).then(() => told.push('closed'))
  await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' })
  await running
  await closed
  expect(told).toEqual(['began', 'CANCELLED', 'closed'])
  await expect(transitions.run('b', async () => {})).rejects.toMatchObject({ code: 'CANCELLED' })
})

test('an end does not wait for ever', async () => {
  const transitions = new Transitions(1000)
  let finish = () => {}
  const running = transitions.run('a', () => new Promise<void>((resolve) => (finish = resolve)))
  await sleep(5)
  await transitions.close(1)
  finish()
  await running
})
