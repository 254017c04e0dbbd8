import type { Handlers } from '../http/handlers.ts'
import { lazyMetrics } from '../metrics/lazy-metrics.ts'
import { renderMetrics } from '../metrics/render-metrics.ts'
import { shedMetrics } from '../metrics/shed-metrics.ts'
import type { Rooms } from '../rooms.ts'

type MetricsRooms = Pick<Rooms, 'info' | 'sheds' | 'lazyImages'>

export function metricsRoutes({ info, sheds, lazyImages }: MetricsRooms): Pick<Handlers, 'readMetrics'> {
  return {
    async readMetrics() {
      const [allSheds, images] = await Promise.all([sheds.list(), lazyImages()])
      const version = { labels: { version: info.version }, value: 1 }
      const text = renderMetrics([
        { name: 'cowshed_build_info', help: 'Which daemon this is.', type: 'gauge', samples: [version] },
        ...shedMetrics(allSheds),
        ...lazyMetrics(images),
      ])
      const bytes = Buffer.from(text)
      return { source: once(bytes), sizeBytes: bytes.length }
    },
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
