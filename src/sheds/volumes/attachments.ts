import type { SeenFiles } from '../../host/index.ts'
import type { ShedsContext } from '../context.ts'
import { type LoadedShed, loadAllSheds } from '../records/load-shed.ts'

/** A shed that has a volume, whether it runs or not. */
export interface Attachment {
  readonly volume: string
  readonly shed: string
  readonly path: string
  readonly readOnly: boolean
}

/**
 * Which sheds have which volumes: their records are the only place that says so. For whoever changes something.
 *
 * @throws Problem RECORD_INVALID for a shed that cannot be read: it may have any volume
 */
export async function allAttachments({ layout }: Pick<ShedsContext, 'layout'>): Promise<Attachment[]> {
  const all = await loadAllSheds({ layout })
  for (const { problem } of all) if (problem !== undefined) throw problem
  return all.flatMap(attachmentsOf)
}

/** The same for whoever only shows them: what cannot be read has none. */
export async function seenAttachments(
  context: ShedsContext & { readonly seen?: SeenFiles | undefined },
): Promise<Attachment[]> {
  return (await loadAllSheds(context)).flatMap(attachmentsOf)
}

function attachmentsOf({ name: shed, record }: LoadedShed): Attachment[] {
  return (record?.volumes ?? []).map(({ volume, path, read_only: readOnly }) => ({ volume, shed, path, readOnly }))
}
