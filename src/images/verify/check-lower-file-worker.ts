import { serveWorker } from '../../host/index.ts'
import { type CheckLowerFile, checkLowerFile } from './check-lower-file.ts'

serveWorker(async (input: CheckLowerFile, post) => checkLowerFile(input, post))
