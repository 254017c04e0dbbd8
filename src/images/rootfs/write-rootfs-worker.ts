import { serveWorker } from '../../host/index.ts'
import { type WriteRootfs, writeRootfs } from './write-rootfs.ts'

serveWorker(async (input: WriteRootfs) => writeRootfs(input))
