/**
 * Joins small pieces of a stream to pieces of at least `atLeast` bytes (the last may be smaller), because each piece costs a trip to
 * another thread. Empty pieces vanish.
 */
export async function* gather(source: AsyncIterable<Uint8Array>, atLeast: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let bytes = 0
  for await (const piece of source) {
    held.push(piece)
    bytes += piece.length
    if (bytes < atLeast) continue
    yield join(held)
    held = []
    bytes = 0
  }
  if (bytes > 0) yield join(held)
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const [only] = pieces
  return only !== undefined && pieces.length === 1 ? only : Buffer.concat(pieces)
}
