import picocolors from 'picocolors'
import { expect, test } from 'vitest'
import { heatStrips } from './heat-strip.ts'

const plain = picocolors.createColors(false)
const heat = { cell_bytes: 65_536, here: [0, 1, 50, 99, 100], read: [0, 0, 0, 0, 100], ahead: [0, 1, 0, 0, 0] }
const strips = (env: Record<string, string>, colours = plain) =>
  heatStrips(heat, { env }, colours).map(([, strip]) => strip)

test('an image is drawn from its beginning to its end, and nothing and all of a cell look like nothing else', () => {
  expect(strips({})).toEqual(['·▁▄▇█', '····█', '·▁···'])
  expect(strips({ LANG: 'C.UTF-8' })).toEqual(strips({}))
})

test('a terminal that has no such characters gets digits', () => {
  expect(strips({ LC_ALL: 'C', LANG: 'C.UTF-8' })).toEqual(['.147#', '....#', '.1...'])
})

test('colours say the same once more', () => {
  const coloured = strips({}, picocolors.createColors(true))
  expect(coloured[1]).toBe('[32m····█[39m'.replaceAll('[', '\u001b['))
})
