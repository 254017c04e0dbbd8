import { fileStatus } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'

/** What is kept of a shed's memory takes so much on disk: st_blocks × 512. */
export async function memoryOnDisk({ layout }: Pick<ShedsContext, 'layout'>, name: string): Promise<number> {
  const { memSnap, memSnapZst, vmSnap } = layout.shed(name)
  const found = await Promise.all([memSnap, memSnapZst, vmSnap].map(fileStatus))
  return found.reduce((sum, stats) => sum + (stats?.blocks ?? 0) * 512, 0)
}
