import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../../test/support/temporary-directory.ts'
import type { BlockRun } from '../../formats/index.ts'
import { ZeroRuns } from './zero-runs.ts'

test('every run of 32 KiB of zeros and more is found, and nothing else, wherever a file begins', async () => {
  await using dir = await temporaryDirectory()
  const path = join(dir.path, 'blob')
  const runs = fc.array(fc.record({ zero: fc.boolean(), blocks: fc.oneof(fc.nat(20), fc.nat(300)) }), { maxLength: 8 })
  fc.assert(
    fc.property(runs, fc.nat(40), (parts, skipped) => {
      const blocks = parts.flatMap(({ zero, blocks }) => new Array<boolean>(blocks).fill(zero))
      const startBlock = Math.min(skipped, blocks.length)
      writeFileSync(path, Buffer.concat(blocks.map((zero) => block(zero))))
      using zeros = new ZeroRuns(['nowhere', path])
      const found = zeros.find({ blob: 1, startBlock, blocks: blocks.length - startBlock })
      expect(found).toEqual(longRuns(blocks.slice(startBlock)))
    }),
    { numRuns: 60 },
  )
})

test('it is content that counts, not whether the disk has a hole there', async () => {
  await using dir = await temporaryDirectory()
  const paths = ['hole', 'zeros'].map((name) => join(dir.path, name))
  const [hole = '', written = ''] = paths
  const fd = openSync(hole, 'w')
  ftruncateSync(fd, 1 << 20)
  writeSync(fd, 'end', (1 << 20) - 3)
  closeSync(fd)
  writeFileSync(written, Buffer.concat([Buffer.alloc((1 << 20) - 3), Buffer.from('end')]))
  using zeros = new ZeroRuns(paths)
  const find = (blob: number) => zeros.find({ blob, startBlock: 0, blocks: 256 })
  expect([find(0), find(1)]).toEqual([[{ start: 0, blocks: 255 }], [{ start: 0, blocks: 255 }]])
})

function block(zero: boolean): Buffer {
  const bytes = Buffer.alloc(4096)
  // In its last byte: a block that only begins with zeros is none.
  if (!zero) bytes.writeUInt8(1, 4095)
  return bytes
}

function longRuns(zero: readonly boolean[]): BlockRun[] {
  const runs: BlockRun[] = []
  for (let at = 0; at < zero.length; at++) {
    let end = at
    while (zero[end] === true) end++
    if (end - at >= 8) runs.push({ start: at, blocks: end - at })
    at = Math.max(at, end)
  }
  return runs
}
