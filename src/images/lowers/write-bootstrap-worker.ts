import { serveWorker } from '../../host/index.ts'
import { type WriteBootstrap, writeBootstrap } from './write-bootstrap.ts'

serveWorker(async (input: WriteBootstrap) => writeBootstrap(input))
