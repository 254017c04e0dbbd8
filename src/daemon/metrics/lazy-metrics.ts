import type { LazyCounts, LazyImage, LazyProgress } from '../../contract/index.ts'
import type { Metric, Sample } from './render-metrics.ts'

/** An image that somebody serves. */
interface Served extends LazyImage {
  readonly progress: LazyProgress
}

/** Images that have samples of their own; what more of them took is told as that of `others`. */
const maxImages = 100

type Counter = readonly [name: string, count: keyof LazyCounts, help: string]

const counters: readonly Counter[] = [
  ['requests_total', 'requests', 'Requests to registries.'],
  ['requested_bytes_total', 'requested_bytes', 'Bytes of blobs that registries were asked for.'],
  ['fetched_bytes_total', 'fetched_bytes', 'Bytes of lowers that came from registries and are right.'],
  ['host_bytes_total', 'host_bytes', 'Bytes of lowers that were taken from layers and lowers of this host.'],
  ['read_bytes_total', 'read_bytes', 'Bytes that clients have read.'],
  ['misses_total', 'misses', 'Reads that waited for what was not here.'],
  ['stall_seconds_total', 'stall_ms', 'How long reads have waited for what was not here, in all.'],
  ['retries_total', 'retries', 'Requests that failed and were made again.'],
  ['wrong_leaves_total', 'wrong_leaves', 'Leaves that came and were not what they must be.'],
  ['damaged_leaves_total', 'damaged_leaves', 'Leaves of the cache that were not what they must be.'],
  ['unsaved_leaves_total', 'unsaved_leaves', 'Leaves that came and could not be kept.'],
]

type Gauge = readonly [name: string, help: string, value: (image: Served) => number]

const gauges: readonly Gauge[] = [
  ['bytes', 'All of it.', ({ bytes }) => bytes ?? 0],
  ['here_bytes', 'What of it is here, runs of zeros included.', ({ progress }) => progress.here_bytes],
  ['unread_bytes', 'What was fetched and nobody has read so far.', ({ progress }) => progress.counts.unread_bytes],
  ['clients', 'Connections to those who serve it.', ({ clients }) => clients],
  ['unverified', '1 while nothing of it was verified.', ({ progress }) => (progress.unverified ? 1 : 0)],
  ['wrong', '1 when it was found not to be what its digest says.', ({ progress }) => (progress.wrong ? 1 : 0)],
  ['degraded', '1 while its registry does not give what is read.', ({ progress }) => (progress.degraded ? 1 : 0)],
]

/** What those do who serve images that are read before they are here. One that nobody serves does nothing: it has no samples, and its counters begin anew. */
export function lazyMetrics(images: readonly LazyImage[]): Metric[] {
  const served = images.filter((image): image is Served => image.status === 'served' && image.progress !== undefined)
  // The same ones at every scrape, as long as they are served.
  const ordered = served.sort((a, b) => (a.chunk_index_digest < b.chunk_index_digest ? -1 : 1))
  const samplesOf = (value: (image: Served) => number): Sample[] => [
    ...ordered.slice(0, maxImages).map((image) => ({ labels: labelsOf(image), value: value(image) })),
    ...others(ordered.slice(maxImages), value),
  ]
  return [
    ...counters.map(
      ([name, count, help]): Metric => ({
        ...{ name: `cowshed_lazy_${name}`, help, type: 'counter' },
        samples: samplesOf(({ progress }) => inSeconds(count, progress.counts[count])),
      }),
    ),
    ...gauges.map(
      ([name, help, value]): Metric => ({
        ...{ name: `cowshed_lazy_${name}`, help, type: 'gauge' },
        samples: samplesOf(value),
      }),
    ),
  ]
}

function labelsOf({ reference = '', chunk_index_digest }: Served): Sample['labels'] {
  return { image: reference, chunk_index: chunk_index_digest.slice('sha256:'.length, 'sha256:'.length + 12) }
}

function others(rest: readonly Served[], value: (image: Served) => number): Sample[] {
  if (rest.length === 0) return []
  return [{ labels: { image: 'others' }, value: rest.reduce((sum, image) => sum + value(image), 0) }]
}

function inSeconds(count: keyof LazyCounts, value: number): number {
  return count === 'stall_ms' ? value / 1000 : value
}
