import {
  type CompressWithoutZeros,
  compressWithoutZeros,
  giveWay,
  idleInputOutput,
  serveWorker,
  type WithoutZeros,
} from '../../host/index.ts'

serveWorker(async (job: CompressWithoutZeros): Promise<WithoutZeros> => {
  giveWay()
  idleInputOutput()
  return await compressWithoutZeros(job)
})
