import type { ProgressEvent } from '../../contract/index.ts'
import type { Cli } from '../cli.ts'

/** Something that was not copied, because it is neither file, directory nor symbolic link. */
export interface Skipped {
  readonly path: string
  readonly why: string
}

/** One copy, whatever its direction. */
export interface CopyJob {
  readonly cli: Cli
  readonly shed: string
  /** Passes bytes on and reports them. */
  readonly counted: (source: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer>
  readonly skipped: Skipped[]
}

export interface OpenCopyJob extends Pick<CopyJob, 'cli' | 'shed'> {
  readonly onProgress: (progress: ProgressEvent) => void
}

export function openCopyJob({ cli, shed, onProgress }: OpenCopyJob): CopyJob {
  return { cli, shed, counted: countedBytes(onProgress), skipped: [] }
}

/** Reports bytes as they pass: what there is in all is not known before the last directory has been read. */
function countedBytes(onProgress: OpenCopyJob['onProgress']): CopyJob['counted'] {
  let done = 0
  return async function* counted(source) {
    for await (const chunk of source) {
      done += chunk.length
      onProgress({ phase: 'copy', done })
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    }
  }
}
