import type { DockerfileBase } from './dockerfile-bases.ts'

/** What a person asks to be built; paths are absolute. */
export interface BuildSettings {
  readonly context: string
  readonly dockerfile?: string | undefined
  readonly buildArgs: Readonly<Record<string, string>>
  readonly target?: string | undefined
  readonly platform?: string | undefined
  /** Seconds since 1970: every time in the image is this one, so that the same content gives the same image. */
  readonly sourceDateEpoch?: number | undefined
  readonly noCache: boolean
}

/** One build, for whichever builder does it. */
export interface BuildJob extends Omit<BuildSettings, 'dockerfile'> {
  readonly dockerfile: string
  /** An empty directory of its own, which the caller removes. */
  readonly staging: string
  /** Images of the store that the Dockerfile is built from, in a layout of their own. */
  readonly bases: readonly StoredBase[]
  readonly onLine: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

export interface StoredBase extends Pick<DockerfileBase, 'written'> {
  /** The layout's directory. */
  readonly layout: string
  /** Its ref.name there. */
  readonly ref: string
}

/** Days would be too few for nobody; setTimeout takes no more than 24. */
export const maxBuildMs = 7 * 24 * 3_600_000

/** The options that both builders have, with values that cannot be taken for options of their own. */
export function commonOptions({
  dockerfile,
  buildArgs,
  target,
  platform,
  sourceDateEpoch,
  noCache,
}: BuildJob): string[] {
  // Dockerfiles that ask for it get it by convention: https://reproducible-builds.org/docs/source-date-epoch/
  const epoch = sourceDateEpoch === undefined ? {} : { SOURCE_DATE_EPOCH: String(sourceDateEpoch) }
  const args = Object.entries({ ...epoch, ...buildArgs })
  return [
    `--file=${dockerfile}`,
    ...args.map(([key, value]) => `--build-arg=${key}=${value}`),
    ...(target === undefined ? [] : [`--target=${target}`]),
    ...(platform === undefined ? [] : [`--platform=${platform}`]),
    ...(noCache ? ['--no-cache'] : []),
  ]
}
