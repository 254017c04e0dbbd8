import { Problem, parseName } from '../../base/index.ts'
import type { VolumeMount } from '../../contract/index.ts'
import { guestMountPath } from '../../contract/index.ts'

/** Parses `NAME:PATH`, or `NAME:PATH:ro` to read only. */
export function volumeMount(text: string): VolumeMount {
  const colon = text.indexOf(':')
  if (colon < 0) throw notAMount(text)
  const volume = parseName(text.slice(0, colon), 'volume name')
  const rest = text.slice(colon + 1)
  const read_only = rest.endsWith(':ro')
  const path = read_only ? rest.slice(0, -':ro'.length) : rest
  if (!guestMountPath.test(path)) throw notAMount(text)
  return { volume, path, read_only }
}

/** Of an option that may be repeated. */
export function collectVolumes(text: string, previous: readonly VolumeMount[] = []): VolumeMount[] {
  return [...previous, volumeMount(text)]
}

function notAMount(text: string): Problem {
  return new Problem('INVALID_REQUEST', `${JSON.stringify(text)} is not NAME:PATH or NAME:PATH:ro`, {
    hint: 'the path is absolute, and not below /proc, /sys, /dev or /run: data:/srv/data',
  })
}
