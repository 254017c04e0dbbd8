/** Something that was not copied, because it is neither file, directory nor symbolic link. */
export interface Skipped {
  readonly path: string
  readonly why: string
}

/** Reports bytes as they pass: what there is in all is not known before the last directory has been read. */
export function countedBytes(onProgress: (progress: { phase: string; done: number }) => void) {
  let done = 0
  return async function* counted(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      done += chunk.length
      onProgress({ phase: 'copy', done })
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    }
  }
}
