import { serveCalls } from '../../host/index.ts'
import { extentCache } from './extent-cache.ts'
import { measure } from './measure.ts'
import type { Measurement, MeasureRequest } from './measured-file.ts'

const cache = extentCache()

serveCalls((request: MeasureRequest): Measurement => measure(request, cache))
