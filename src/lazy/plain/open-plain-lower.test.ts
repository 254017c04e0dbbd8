import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { dice } from '../../../test/support/dice.ts'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import { digestOf, isProblem } from '../../base/index.ts'
import { leafBytes, leafHashBytes } from '../../formats/index.ts'
import type { ReadBlob } from '../../wires/index.ts'
import { keystream } from '../../wires/registry/registry.testkit.ts'
import { GivenHashes } from './given-hashes.ts'
import { openPlainLower } from './open-plain-lower.ts'

const lower = keystream(12 * leafBytes + 4096)
const digest = digestOf(lower)

/** A registry in which a byte of every so many answers is another. */
function registry(throwDice: (sides: number) => number) {
  const state = { oneIn: 0, wrong: 0 }
  return {
    state,
    async *readStored({ from = 0, until = lower.length }: ReadBlob): AsyncGenerator<Buffer> {
      const bytes = Buffer.from(lower.subarray(from, until))
      if (state.oneIn > 0 && throwDice(state.oneIn) === 0) {
        state.wrong++
        const at = throwDice(bytes.length)
        bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
      }
      yield bytes
    },
  }
}

test('whatever processes come and go, it is right only when every byte that was ever given was', async () => {
  const throwDice = dice('lives')
  const verdicts = { right: 0, wrong: 0 }
  await using directory = await temporaryDirectory()
  for (let round = 0; round < 40; round++) {
    const place = join(directory.path, String(round))
    await mkdir(place)
    const { state, readStored } = registry(throwDice)
    let lives = 0
    const open = () =>
      openPlainLower({
        ...{ digest, bytes: lower.length, readStored, policy: { kind: 'hang' }, signal: new AbortController().signal },
        ...{ path: join(place, 'data'), staged: join(place, `staged-${lives++}`), given: join(place, 'given') },
        listener: { degraded: () => {}, recovered: () => {} },
      })
    let wasGivenWrong = false
    state.oneIn = [0, 3, 12][round % 3] ?? 0
    for (let life = throwDice(4); life >= 0; life--) {
      await using opened = await open()
      for (let read = throwDice(5); read >= 0; read--) {
        const offset = throwDice(lower.length - 1)
        const length = 1 + throwDice(Math.min(100_000, lower.length - offset))
        try {
          const bytes = await opened.read(offset, length)
          wasGivenWrong ||= !bytes.equals(lower.subarray(offset, offset + length))
        } catch (error) {
          // What comes again and again as another than it was.
          if (!isProblem(error, 'DIGEST_MISMATCH')) throw error
        }
      }
    }
    state.oneIn = 0
    const outcome = await (async () => {
      await using last = await open()
      await last.fill({ signal: new AbortController().signal })
      return 'right' as const
    })().catch((error: unknown) => {
      if (!isProblem(error, 'DIGEST_MISMATCH')) throw error
      return 'wrong' as const
    })
    if (wasGivenWrong) expect(outcome, `round ${round}`).toBe('wrong')
    if (state.wrong === 0) expect(outcome, `round ${round}`).toBe('right')
    if (outcome === 'right') expect((await readFile(join(place, 'data'))).equals(lower)).toBe(true)
    verdicts[outcome]++
  }
  expect([verdicts.right > 0, verdicts.wrong > 0]).toEqual([true, true])
})

test('a hash is durable before anybody is given what it is of, and is what counts from then on', async () => {
  await using directory = await temporaryDirectory()
  const path = join(directory.path, 'given')
  const [one, other] = [Buffer.alloc(leafBytes, 1), Buffer.alloc(leafBytes, 2)]
  {
    using hashes = await GivenHashes.open({ path, bytes: 3 * leafBytes })
    expect(hashes.accepts(1, one)).toBe(true)
    expect(hashes.isRemembered(leafBytes, 1)).toBe(false)
    await hashes.remembered()
    expect([hashes.isRemembered(leafBytes, leafBytes), hashes.isRemembered(0, 2 * leafBytes)]).toEqual([true, false])
    const [zeros, written] = [0, 1].map((leaf) => leaf * leafHashBytes)
    const file = await readFile(path)
    expect(file.subarray(zeros, written).every((byte) => byte === 0)).toBe(true)
    expect(`sha256:${file.subarray(written, 2 * leafHashBytes).toString('hex')}`).toBe(digestOf(one))
    expect(hashes.accepts(0, one.subarray(1))).toBe(false)
  }
  using again = await GivenHashes.open({ path, bytes: 3 * leafBytes })
  // Who noted it may have been killed before it was durable.
  expect(again.isRemembered(leafBytes, 1)).toBe(false)
  await again.remembered()
  expect(again.isRemembered(leafBytes, 1)).toBe(true)
  const others: number[] = []
  again.onOther = (leaf) => others.push(leaf)
  expect([again.accepts(1, other), again.accepts(1, one), again.accepts(0, other)]).toEqual([false, true, true])
  expect(others).toEqual([])
  expect([again.accepts(1, other), again.accepts(1, other)]).toEqual([false, false])
  expect(others).toEqual([1])
})
