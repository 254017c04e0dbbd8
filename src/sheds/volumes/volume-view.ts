import { isProblem, type Problem } from '../../base/index.ts'
import type { Volume } from '../../contract/index.ts'
import type { LoadedVolume } from '../../disks/index.ts'
import type { PinSet } from '../../state/index.ts'
import type { Attachment } from './attachments.ts'

export interface ViewVolume {
  readonly attachments: readonly Attachment[]
  readonly pins: PinSet
}

/** A volume as it is shown, one that is broken too. */
export function volumeView(loaded: LoadedVolume, { attachments, pins }: ViewVolume): Volume {
  const { name, volume, problem } = loaded
  const attached = attachments.filter((attachment) => attachment.volume === name)
  return {
    name,
    id: volume?.record.id ?? '',
    ...statusOf(problem, attached.length > 0),
    bytes: volume?.bytes ?? 0,
    physical_bytes: volume?.physicalBytes ?? 0,
    attached_to: attached.map(({ shed, path, readOnly }) => ({ shed, path, read_only: readOnly })),
    ...(pins.has({ kind: 'volume', id: name }) ? { protected: true as const } : {}),
    created_at: volume?.record.created_at ?? new Date(0).toISOString(),
  }
}

function statusOf(problem: Problem | undefined, isAttached: boolean): Pick<Volume, 'status' | 'status_reason'> {
  if (isProblem(problem)) return { status: 'broken', status_reason: problem.message }
  return { status: isAttached ? 'attached' : 'detached' }
}
