import {
  type DataLayout,
  type Digest,
  type LowerForm,
  type LowerProfile,
  lowerForms,
  lowerProfiles,
} from '../../base/index.ts'

/** What decides the bytes of a lower besides its manifest. */
export interface LowerKind {
  readonly profile: LowerProfile
  readonly form: LowerForm
}

/** What every guest kernel and every machine can use. */
export const plainWhole: LowerKind = { profile: 'plain', form: 'whole' }

/** Every kind that there is. */
export const lowerKinds: readonly LowerKind[] = lowerForms.flatMap((form) =>
  lowerProfiles.map((profile) => ({ profile, form })),
)

/** Where the lower of a manifest is, or its bootstrap when it is in parts. */
export function lowerPath(layout: DataLayout, manifest: Digest, { profile, form }: LowerKind): string {
  return form === 'whole' ? layout.lower(profile, manifest) : layout.lowerBootstrap(profile, manifest)
}
