import { type LowerForm, type LowerProfile, Problem } from '../../base/index.ts'
import { type LowerKind, lowerKinds } from './lower-kind.ts'

/** What config.toml says of lowers: `images.lower_profile`, `images.lower_form`. */
export interface LowerPolicy {
  readonly profile: LowerProfile | 'auto'
  readonly form: LowerForm | 'auto'
}

/** What the choice depends on. */
export interface LowerPlace {
  /** Whether files of the data directory can share extents. */
  readonly reflink: boolean
  /** `6.1.0-38-cloud-amd64`; undefined while no kernel is installed. */
  readonly guestRelease: string | undefined
}

/**
 * Which kind of lower to build. Where files share extents it is plain and whole: it adds nothing to the data of its layers, and btrfs compresses it as it
 * likes. Elsewhere it is compressed, and in parts if the guest's kernel can, so that nothing is on disk twice.
 *
 * @throws Problem HOST_UNSUPPORTED when the settings ask for what the guest's kernel cannot read
 */
export function chooseLower({ profile, form }: LowerPolicy, { reflink, guestRelease }: LowerPlace): LowerKind {
  const canBeParts = isUsable({ profile: 'plain', form: 'parts' }, guestRelease)
  const kind: LowerKind = {
    profile: profile === 'auto' ? (reflink ? 'plain' : 'lz4') : profile,
    form: form === 'auto' ? (reflink || !canBeParts ? 'whole' : 'parts') : form,
  }
  if (isUsable(kind, guestRelease)) return kind
  throw new Problem(
    'HOST_UNSUPPORTED',
    `the settings ask for lowers that are ${kind.profile} and ${inWords(kind.form)}, which the guest's kernel ${guestRelease} cannot read`,
    { hint: `set images.lower_profile and images.lower_form to "auto", or install a newer kernel: cowshed setup` },
  )
}

/** Why it is that kind, for people. */
export function whyLower({ profile, form }: LowerPolicy, { reflink, guestRelease }: LowerPlace): string {
  if (profile !== 'auto' && form !== 'auto') return 'config.toml says so'
  const parts = isUsable({ profile: 'plain', form: 'parts' }, guestRelease)
  const why = reflink
    ? 'files of the data directory can share extents'
    : `files of the data directory cannot share extents${parts ? '' : `, and the guest's kernel ${guestRelease} takes none in parts`}`
  if (profile === 'auto' && form === 'auto') return why
  return `config.toml says ${profile === 'auto' ? inWords(form === 'parts' ? 'parts' : 'whole') : profile}, and ${why}`
}

/** Every kind that a kernel can read, the preferred one first: what is there is used before anything is built. */
export function usableKinds(preferred: LowerKind, guestRelease: string | undefined): LowerKind[] {
  const rank = ({ profile, form }: LowerKind) =>
    (profile === preferred.profile ? 0 : 2) + (form === preferred.form ? 0 : 1)
  return lowerKinds.filter((kind) => isUsable(kind, guestRelease)).sort((a, b) => rank(a) - rank(b))
}

/** The first kernel with what a profile or a form needs: fs/erofs of Linux. */
const firstKernel: Readonly<Record<LowerProfile | LowerForm, readonly [number, number]>> = {
  plain: [5, 4],
  lz4: [5, 4],
  'lz4-64k': [5, 13],
  whole: [5, 4],
  parts: [5, 16],
}

/** A kernel that is not known yet will be Debian's of today, or one that its owner chose the settings for. */
function isUsable({ profile, form }: LowerKind, guestRelease: string | undefined): boolean {
  const match = /^(\d+)\.(\d+)/.exec(guestRelease ?? '')
  if (match === null) return true
  const [major, minor] = [Number(match[1]), Number(match[2])]
  return [firstKernel[profile], firstKernel[form]].every(
    ([oldMajor, oldMinor]) => major > oldMajor || (major === oldMajor && minor >= oldMinor),
  )
}

function inWords(form: LowerForm): string {
  return form === 'parts' ? 'in parts' : 'whole'
}
