import { serveWorker } from '../../host/index.ts'
import { type WriteLayerFiles, writeLayerFiles } from './write-layer-files.ts'

serveWorker((input: WriteLayerFiles, post) => writeLayerFiles(input, { onRead: post }))
