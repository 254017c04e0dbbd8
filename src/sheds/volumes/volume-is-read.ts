import { Problem } from '../../base/index.ts'

/** What cannot be done to the disk of a volume while guests read it. */
export function volumeIsRead(volume: string, shed: string): Problem {
  return new Problem('VOLUME_IN_USE', `the running shed ${shed} reads the volume ${volume}`, {
    hint: `stop it first: cowshed stop ${shed}`,
    data: { volume, shed },
  })
}
