import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../base/index.ts'
import { layerHistory } from './layer-history.ts'
import { mediaTypes } from './media-types.ts'

const layer = (number: number) => ({
  mediaType: mediaTypes.ociLayerGzip,
  digest: digestOf(Buffer.from(`layer ${number}`)),
  size: 100 + number,
})
const layers = (count: number) => ({ layers: Array.from({ length: count }, (_, i) => layer(i)) })
const step = (created_by: string, empty_layer?: boolean) => ({ created_by, empty_layer })

/** `created_by` and the number of the layer of each step. */
function mapped(count: number, history: ReturnType<typeof step>[]) {
  const { steps, complaint } = layerHistory(layers(count), { history })
  return { steps: steps.map(({ entry, layer: made }) => [entry?.created_by, made?.number]), complaint }
}

describe('layerHistory', () => {
  test('steps without a layer are passed over, wherever they stand', () => {
    expect(
      mapped(2, [step('ENV', true), step('ADD', false), step('LABEL', true), step('RUN'), step('CMD', true)]),
    ).toEqual({
      steps: [
        ['ENV', undefined],
        ['ADD', 0],
        ['LABEL', undefined],
        ['RUN', 1],
        ['CMD', undefined],
      ],
      complaint: undefined,
    })
  })

  test('without a history there are the layers, and nothing to complain of', () => {
    expect(mapped(2, [])).toEqual({
      steps: [
        [undefined, 0],
        [undefined, 1],
      ],
      complaint: undefined,
    })
  })

  test.each([
    ['shorter', [step('ADD'), step('ENV', true)], 2],
    ['longer', [step('ADD'), step('RUN'), step('COPY')], 2],
    ['only of empty steps', [step('ENV', true)], 1],
  ])('a history that is %s is told, and nothing is guessed', (_, history, count) => {
    const { steps, complaint } = mapped(count, history)
    expect(complaint).toMatch(/history has \d steps.*there are \d layers/)
    expect(steps.map(([by]) => by)).toEqual([...history.map((one) => one.created_by), ...Array(count).fill(undefined)])
    expect(steps.slice(0, history.length).every(([, number]) => number === undefined)).toBe(true)
    expect(steps.slice(history.length).map(([, number]) => number)).toEqual([...Array(count).keys()])
  })

  test('whatever the history, every layer is there once, in order, and no step is lost', () => {
    const histories = fc.array(
      fc.record({ created_by: fc.string(), empty_layer: fc.option(fc.boolean(), { nil: undefined }) }),
    )
    fc.assert(
      fc.property(histories, fc.nat(20), (history, count) => {
        const { steps } = layerHistory(layers(count), { history })
        expect(steps.flatMap((one) => one.layer?.number ?? [])).toEqual([...Array(count).keys()])
        expect(steps.flatMap((one) => one.entry ?? [])).toEqual(history)
      }),
    )
  })
})
