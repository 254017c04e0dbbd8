import { Problem } from '../../base/index.ts'
import type { VolumeMount } from '../../contract/index.ts'
import { isCleanVolume, loadVolume } from '../../disks/index.ts'
import type { ShedsContext } from '../context.ts'
import { type Attachment, allAttachments } from './attachments.ts'
import { markOf } from './new-volumes.ts'

export interface CheckMounts {
  readonly shed: string
  readonly mounts: readonly VolumeMount[]
}

/**
 * Whether a shed may have these volumes: each is there, is written to by one shed at most and read by others only while nobody writes to it, and what is only
 * read has nothing in its journal that would have to be written first.
 *
 * @throws Problem VOLUME_NOT_FOUND, VOLUME_IN_USE, VOLUME_NOT_CLEAN, RECORD_INVALID
 */
export async function checkMounts(context: ShedsContext, { shed, mounts }: CheckMounts): Promise<void> {
  if (mounts.length === 0) return
  const others = (await allAttachments(context)).filter((attachment) => attachment.shed !== shed)
  for (const mount of mounts) {
    await loadVolume(context.layout, mount.volume)
    const mark = await markOf(context.layout, mount.volume)
    if (mark !== undefined && mark.shed !== shed) throw beingMade(mount, mark.shed)
    const rival = others.find(({ volume, readOnly }) => volume === mount.volume && !(readOnly && mount.read_only))
    if (rival !== undefined) throw inUse(rival, mount)
    if (mount.read_only && !(await isCleanVolume(context.layout, mount.volume))) throw notClean(mount)
  }
}

function beingMade({ volume }: VolumeMount, shed: string): Problem {
  return new Problem('VOLUME_IN_USE', `the volume ${volume} is being made for the shed ${shed}`, {
    data: { volume, shed },
  })
}

function inUse({ volume, shed, readOnly }: Attachment, { read_only }: VolumeMount): Problem {
  const has = readOnly ? 'reads' : 'has'
  const wish = readOnly || read_only ? 'one shed may write to it, or many read it' : 'one shed may write to it'
  return new Problem('VOLUME_IN_USE', `the shed ${shed} ${has} the volume ${volume}, and only ${wish}`, {
    hint: `take it from there first: cowshed volume detach ${shed} ${volume}`,
    data: { volume, shed },
  })
}

function notClean({ volume, path }: VolumeMount): Problem {
  return new Problem(
    'VOLUME_NOT_CLEAN',
    `the volume ${volume} was not unmounted: what its journal says has to be written before anybody can read it`,
    {
      hint: `attach it to a shed that writes to it, then start that shed and stop it: cowshed volume attach SHED ${volume}:${path}`,
      data: { volume },
    },
  )
}
