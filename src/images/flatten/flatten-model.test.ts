import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isProblem } from '../../base/index.ts'
import type { LayerEntry } from '../../formats/index.ts'
import { dir, file, flatten, hardlink, linesOf, symlink } from './layers.testkit.ts'
import { naiveTree } from './naive-layers.testkit.ts'

// Few names, so that layers meet: nearly every entry hits something that is there.
const name = fc.constantFrom('a', 'b', 'c', 'l')
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'))
const parent = fc.array(name, { maxLength: 2 }).map((names) => names.map((part) => `${part}/`).join(''))
const number = fc.nat(7)
const attributes = fc.record({ mode: number, uid: number, mtimeSeconds: number })
const target = fc.oneof(
  path,
  path.map((text) => `/${text}`),
  path.map((text) => `../${text}`),
  path.map((text) => `${text}/..`),
)

const entry: fc.Arbitrary<LayerEntry> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(path, fc.string({ maxLength: 2 }), attributes).map(([p, text, a]) => file(p, text, a)),
  },
  { weight: 3, arbitrary: fc.tuple(path, attributes).map(([p, a]) => dir(p, a)) },
  { weight: 2, arbitrary: fc.tuple(path, target).map(([p, t]) => symlink(p, t)) },
  { weight: 2, arbitrary: fc.tuple(path, path).map(([p, t]) => hardlink(p, t)) },
  { weight: 2, arbitrary: fc.tuple(parent, name).map(([p, n]) => file(`${p}.wh.${n}`)) },
  { weight: 1, arbitrary: parent.map((p) => file(`${p}.wh..wh..opq`)) },
  { weight: 1, arbitrary: attributes.map((a) => dir('./', a)) },
)
const layers = fc.array(fc.array(entry, { maxLength: 7 }), { minLength: 1, maxLength: 4 })

test('flattening does what a naive reading of the rules does', () => {
  let accepted = 0
  fc.assert(
    fc.property(layers, (image) => {
      const tree = naiveTree(image)
      const expected = tree && linesOf(tree, { attributes: true })
      if (expected !== undefined) accepted++
      expect(flattenedLines(image)).toEqual(expected)
    }),
    { numRuns: 3000 },
  )
  // A generator that only made images to be refused would prove nothing.
  expect(accepted).toBeGreaterThan(500)
})

function flattenedLines(image: LayerEntry[][]): string[] | undefined {
  try {
    return linesOf(flatten(...image).root, { attributes: true })
  } catch (error) {
    if (isProblem(error, 'LAYER_INVALID')) return undefined
    throw error
  }
}
