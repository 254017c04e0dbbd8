import { serveWorker } from '../../host/index.ts'
import { type CheckLayerFiles, checkLayerFiles } from './check-layer-files.ts'

serveWorker(async (input: CheckLayerFiles, post) => checkLayerFiles(input, post))
