import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BackupTarget } from '../../src/backups/index.ts'

export interface TargetUnderTest {
  /** Begins with nothing in it; opened again it has what it had. */
  open(): BackupTarget
  close(): Promise<void>
}

/** The suite that every place for backups must pass. */
export function describeBackupTarget(name: string, start: () => Promise<TargetUnderTest>): void {
  describe(name, () => {
    let subject: TargetUnderTest
    let target: BackupTarget
    beforeAll(async () => {
      subject = await start()
      target = subject.open()
    })
    afterAll(async () => {
      await target.close()
      await subject.close()
    })

    test('has nothing at first', async () => {
      expect(await list('')).toEqual([])
      expect(await list('packs/')).toEqual([])
      expect(await target.get('packs/none')).toBeUndefined()
      await target.remove('packs/none')
    })

    test('gives back what was put, whole and in parts, to others too', async () => {
      const bytes = randomBytes(300_000)
      await target.put('a/large', bytes)
      await target.put('a/empty', Buffer.alloc(0))
      const other = subject.open()
      expect(await other.get('a/large')).toEqual(bytes)
      expect(await other.get('a/empty')).toEqual(Buffer.alloc(0))
      expect(await range('a/large', 100, 50)).toEqual(bytes.subarray(100, 150))
      expect(await range('a/large', 299_990, 100)).toEqual(bytes.subarray(299_990))
      expect(await range('a/large', 400_000, 10)).toEqual(Buffer.alloc(0))
      expect(await range('a/none', 0, 10)).toBeUndefined()
      await other.close()
    })

    test('puts in the place of what was there, unless asked for what is new', async () => {
      await target.put('b/one', Buffer.from('first'))
      await target.put('b/one', Buffer.from('second'))
      expect(await target.get('b/one')).toEqual(Buffer.from('second'))
      expect(await target.putNew('b/two', Buffer.from('new'))).toBe(true)
      expect(await target.get('b/two')).toEqual(Buffer.from('new'))
    })

    test('lists by prefix, with sizes and its own time', async () => {
      await target.put('c/ab/1', Buffer.alloc(10))
      await target.put('c/ac/2', Buffer.alloc(20))
      await target.put('ca', Buffer.alloc(30))
      expect(await list('c/')).toEqual(['c/ab/1 10', 'c/ac/2 20'])
      expect(await list('c/ab')).toEqual(['c/ab/1 10'])
      expect(await list('c')).toEqual(['c/ab/1 10', 'c/ac/2 20', 'ca 30'])
      const times = await Promise.all([changed('c/ab/1'), changed('ca')])
      // Stores tell whole seconds.
      expect(Math.abs((times[0] ?? 0) - (times[1] ?? 0))).toBeLessThan(60_000)
      await target.remove('c/ab/1')
      await target.remove('c/ab/1')
      expect(await list('c/')).toEqual(['c/ac/2 20'])
    })

    test('lists as many as there are', async () => {
      const names = Array.from({ length: 60 }, (_, at) => `d/${String(at).padStart(3, '0')}`)
      await Promise.all(names.map((name) => target.put(name, Buffer.from(name))))
      expect(await list('d/')).toEqual(names.map((name) => `${name} 5`))
    })

    test('stops when nobody wants it any more', async () => {
      const signal = AbortSignal.abort()
      // One begins when the one before it was looked at: none fails while nobody waits for it.
      for (const work of [
        () => target.get('a/large', { signal }),
        () => target.put('e', Buffer.from('e'), { signal }),
        () => target.remove('a/large', { signal }),
      ]) {
        await expect(work()).rejects.toMatchObject({ code: 'CANCELLED' })
      }
      expect(await target.get('e')).toBeUndefined()
      expect(await target.get('a/large')).toHaveLength(300_000)
    })

    async function list(prefix: string): Promise<string[]> {
      const found: string[] = []
      for await (const { name: object, bytes } of target.list(prefix)) found.push(`${object} ${bytes}`)
      return found.sort()
    }

    async function changed(object: string): Promise<number | undefined> {
      for await (const { name: found, changedMs } of target.list(object)) if (found === object) return changedMs
      return undefined
    }

    async function range(object: string, offset: number, length: number): Promise<Buffer | undefined> {
      return await target.get(object, { range: { offset, length } })
    }
  })
}
