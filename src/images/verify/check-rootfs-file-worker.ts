import { serveWorker } from '../../host/index.ts'
import { type CheckRootfsFile, checkRootfsFile } from './check-rootfs-file.ts'

serveWorker(async (input: CheckRootfsFile, post) => checkRootfsFile(input, post))
