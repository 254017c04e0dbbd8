import { type DataLayout, Problem } from '../../base/index.ts'
import { diskPath } from '../shed-disk.ts'
import type { ShedRecord } from './shed-record.ts'

/** Whatever a shed that has failed made of its image may be wrong, and is not to spread. @throws Problem SHED_FAILED */
export function refuseFailed({ layout }: { readonly layout: DataLayout }, record: ShedRecord): void {
  const { name, failure } = record
  if (failure === undefined) return
  const look = `what it wrote is kept for a look, and not to be trusted: mount -o ro,loop ${diskPath(layout, record)} DIRECTORY`
  throw new Problem('SHED_FAILED', `the shed ${name} has failed: ${failure.message}`, {
    hint: `${look}\nbe rid of it: cowshed delete ${name}; or begin anew with an empty disk: cowshed reset ${name}`,
    data: { failure: failure.code },
  })
}
