import { describe, expect, test } from 'vitest'
import type { Progress } from '../../base/index.ts'
import { type Crew, Flights } from './flights.ts'

/** Work that ends when it is told to. */
function controllable() {
  let resolve: (text: string) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<string>((onDone, onError) => {
    resolve = onDone
    reject = onError
  })
  const crews: Crew[] = []
  const start = (crew: Crew) => {
    crews.push(crew)
    return promise
  }
  return { start, crews, resolve, reject }
}

describe('work that many ask for', () => {
  test('is done once', async () => {
    const flights = new Flights<string>()
    const work = controllable()
    const all = [1, 2, 3].map(() => flights.join('key', {}, work.start))
    work.resolve('done')
    expect(await Promise.all(all)).toEqual(['done', 'done', 'done'])
    expect(work.crews.length).toBe(1)
  })

  test('is done again for whoever asks when it is over', async () => {
    const flights = new Flights<string>()
    expect(await flights.join('key', {}, async () => 'first')).toBe('first')
    expect(await flights.join('key', {}, async () => 'second')).toBe('second')
  })

  test('fails for all, and may be tried again', async () => {
    const flights = new Flights<string>()
    const work = controllable()
    const all = [flights.join('key', {}, work.start), flights.join('key', {}, work.start)]
    work.reject(new Error('broken'))
    for (const one of all) await expect(one).rejects.toThrow('broken')
    expect(await flights.join('key', {}, async () => 'well')).toBe('well')
  })

  test('that has failed is begun anew by whoever tries again, though others have not left yet', async () => {
    const flights = new Flights<string>()
    const work = controllable()
    const again = flights.join('key', {}, work.start).catch(() => flights.join('key', {}, async () => 'well'))
    const other = flights.join('key', {}, work.start)
    work.reject(new Error('broken'))
    expect(await again).toBe('well')
    await expect(other).rejects.toThrow('broken')
  })

  test('of different keys has nothing to do with each other', async () => {
    const flights = new Flights<string>()
    expect(await Promise.all(['a', 'b'].map((key) => flights.join(key, {}, async () => key)))).toEqual(['a', 'b'])
  })

  test('tells its progress to all who wait', async () => {
    const flights = new Flights<string>()
    const work = controllable()
    const heard: [number, Progress][] = []
    const all = [1, 2].map((who) =>
      flights.join('key', { onProgress: (progress) => heard.push([who, progress]) }, work.start),
    )
    const progress = { phase: 'lower', done: 1 }
    work.crews[0]?.onProgress(progress)
    work.resolve('done')
    await Promise.all(all)
    expect(heard).toEqual([
      [1, progress],
      [2, progress],
    ])
  })
})

describe('one who gives up', () => {
  test('is let go at once, and the work goes on for the others', async () => {
    const flights = new Flights<string>()
    const work = controllable()
    const impatient = new AbortController()
    const first = flights.join('key', { signal: impatient.signal }, work.start)
    const second = flights.join('key', {}, work.start)
    impatient.abort()
    await expect(first).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(work.crews[0]?.signal.aborted).toBe(false)
    work.resolve('done')
    expect(await second).toBe('done')
  })

  test('and is the last one ends the work, and hears of it when the work has tidied up', async () => {
    const flights = new Flights<string>()
    const impatient = new AbortController()
    let tidy = false
    const only = flights.join('key', { signal: impatient.signal }, async ({ signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      await new Promise((resolve) => setTimeout(resolve, 5))
      tidy = true
      throw new Error('nobody listens')
    })
    setTimeout(() => impatient.abort(), 1)
    await expect(only).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(tidy).toBe(true)
  })

  test('does not hold up who comes after it', async () => {
    const flights = new Flights<string>()
    const work = controllable()
    const impatient = new AbortController()
    const first = flights.join('key', { signal: impatient.signal }, work.start)
    impatient.abort()
    // Let the abort be noticed.
    await new Promise((resolve) => setTimeout(resolve, 1))
    expect(await flights.join('key', {}, async () => 'anew')).toBe('anew')
    work.reject(new Error('nobody listens'))
    await expect(first).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  test('before it began starts nothing', async () => {
    const work = controllable()
    const attempt = new Flights<string>().join('key', { signal: AbortSignal.abort() }, work.start)
    await expect(attempt).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(work.crews).toEqual([])
  })
})
