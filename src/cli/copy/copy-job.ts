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
  /** Bytes in all, of a single file: of a directory they are not known before the last one in it has been read. */
  readonly total?: number
}

export function openCopyJob({ cli, shed, ...progress }: OpenCopyJob): CopyJob {
  return { cli, shed, counted: countedBytes(progress), skipped: [] }
}

/** Reports bytes as they pass. */
function countedBytes({ onProgress, total }: Pick<OpenCopyJob, 'onProgress' | 'total'>): CopyJob['counted'] {
  let done = 0
  return async function* counted(source) {
    for await (const chunk of source) {
      done += chunk.length
      onProgress({ phase: 'copy', done, ...(total === undefined ? {} : { total }) })
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    }
  }
}
