import type { PackedChunk } from '../format/chunk.ts'
import type { PackTable } from '../format/pack.ts'

/** Where a chunk is: it is the one `at` that place in its pack, `offset` bytes into it. */
export interface ChunkPlace {
  readonly table: PackTable
  readonly at: number
  readonly offset: number
  readonly chunk: PackedChunk
}

/** Which chunks a repository has, and where. */
export class ChunkIndex {
  readonly #places = new Map<string, ChunkPlace>()
  readonly #tables = new Map<string, PackTable>()

  add(table: PackTable): void {
    this.#tables.set(table.pack, table)
    let offset = 0
    for (const [at, chunk] of table.chunks.entries()) {
      this.#places.set(chunk.id, { table, at, offset, chunk })
      offset += chunk.storedBytes
    }
  }

  find(id: string): ChunkPlace | undefined {
    return this.#places.get(id)
  }

  get tables(): readonly PackTable[] {
    return [...this.#tables.values()]
  }
}
