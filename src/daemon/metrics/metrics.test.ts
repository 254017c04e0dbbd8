import { expect, test } from 'vitest'
import { LazyCounts, type LazyImage } from '../../contract/index.ts'
import { lazyMetrics } from './lazy-metrics.ts'
import { renderMetrics } from './render-metrics.ts'
import { shedMetrics } from './shed-metrics.ts'

function image(at: number, some: Partial<LazyImage> = {}): LazyImage {
  const counts = Object.fromEntries(Object.keys(LazyCounts.shape).map((name) => [name, 1500])) as LazyCounts
  return {
    reference: `app:${at}`,
    status: 'served',
    chunk_index_digest: `sha256:${String(at).padStart(64, '0')}`,
    bytes: 100,
    physical_bytes: 50,
    progress: {
      ...{ here_bytes: 60, here_percent: 60, complete: false, counts },
      heat: { cell_bytes: 100, here: [60], read: [0], ahead: [0] },
    },
    sheds: [],
    clients: 2,
    ...some,
  }
}

test('is text that Prometheus reads: what it is, how it is counted, and a line for each', () => {
  const metric = { name: 'cowshed_x', help: 'What it is.', type: 'gauge' as const }
  const samples = [
    { labels: {}, value: 1 },
    { labels: { image: 'a "b"\\\n', chunk_index: 'c' }, value: 0.5 },
  ]
  expect(renderMetrics([{ ...metric, samples }])).toBe(
    '# HELP cowshed_x What it is.\n# TYPE cowshed_x gauge\ncowshed_x 1\ncowshed_x{image="a \\"b\\"\\\\\\n",chunk_index="c"} 0.5\n',
  )
})

test('each counter of who serves an image has one, and seconds are seconds', () => {
  const text = renderMetrics(lazyMetrics([image(1)]))
  const labels = '{image="app:1",chunk_index="000000000000"}'
  expect(text).toContain(`# TYPE cowshed_lazy_requests_total counter\ncowshed_lazy_requests_total${labels} 1500\n`)
  expect(text).toContain(`cowshed_lazy_stall_seconds_total${labels} 1.5\n`)
  expect(text).toContain(`cowshed_lazy_here_bytes${labels} 60\n`)
  expect(text).toContain(`cowshed_lazy_degraded${labels} 0\n`)
  const told = lazyMetrics([]).length
  // All of them, and beside them how much there is, how much is here, who is connected, whether its registry is away, whether it is unverified or wrong.
  expect(told).toBe(Object.keys(LazyCounts.shape).length + 6)
})

test('what nobody serves has none, and those beyond a hundred are one', () => {
  const degraded = { since: new Date(0).toISOString(), reason: 'gone' }
  const away = image(2)
  const [idle, served] = [image(1, { status: 'idle' }), { ...away, progress: { ...away.progress, degraded } }]
  const valuesOf = (images: LazyImage[], name: string) =>
    lazyMetrics(images).find((metric) => metric.name === name)?.samples
  expect(valuesOf([idle, served as LazyImage], 'cowshed_lazy_degraded')).toMatchObject([
    { labels: { image: 'app:2' }, value: 1 },
  ])
  const many = valuesOf(
    Array.from({ length: 103 }, (_, at) => image(at)),
    'cowshed_lazy_misses_total',
  )
  expect([many?.length, many?.at(-1)]).toEqual([101, { labels: { image: 'others' }, value: 4500 }])
})

test('sheds are counted by their status', () => {
  const sheds = (['running', 'stopped', 'running'] as const).map((status) => ({ status }))
  expect(shedMetrics(sheds)[0]?.samples).toEqual([
    { labels: { status: 'running' }, value: 2 },
    { labels: { status: 'stopped' }, value: 1 },
  ])
})
