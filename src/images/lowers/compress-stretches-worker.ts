import { ExtentCutter } from '../../formats/index.ts'
import { giveWay, serveCalls } from '../../host/index.ts'
import { type Batch, compressStretches } from './compress-stretches.ts'

const cutters = new Map<number, ExtentCutter>()

// As the threads that it helps.
giveWay()
serveCalls(({ clusterBlocks, ...batch }: Batch & { readonly clusterBlocks: number }) => {
  const cutter = cutters.get(clusterBlocks) ?? new ExtentCutter(clusterBlocks)
  cutters.set(clusterBlocks, cutter)
  return compressStretches(cutter, batch)
})
