import { giveWay, serveWorker } from '../../host/index.ts'
import { type WriteLayerFiles, writeLayerFiles } from './write-layer-files.ts'

// What is unpacked here is often still being downloaded, and that must not be kept waiting.
giveWay()
serveWorker((input: WriteLayerFiles, post) => writeLayerFiles(input, { onRead: post }))
