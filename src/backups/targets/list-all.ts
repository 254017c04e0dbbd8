import type { BackupTarget, TargetObject, TargetOptions } from './target.ts'

/** The whole list at once. */
export async function listAll(target: BackupTarget, prefix: string, options?: TargetOptions): Promise<TargetObject[]> {
  const objects: TargetObject[] = []
  for await (const object of target.list(prefix, options)) objects.push(object)
  return objects
}
