import { randomBytes } from 'node:crypto'
import { openZstdCompressor, type ZstdCompressor } from '../../host/index.ts'
import type { ChunkKind } from '../format/chunk.ts'
import { objectNames } from '../format/object-names.ts'
import { PackBuilder, type PackTable } from '../format/pack.ts'
import { encodePackIndex } from '../format/pack-index.ts'
import { sealObject } from '../format/sealed-object.ts'
import type { Repository } from './open-repository.ts'

/** Of zstd: on these disks a higher one saves little and costs much (docs/decisions/0100). */
const level = 3
/** While one pack is being sent the next is filled, and one more. */
const uploadsAtOnce = 2

interface NewChunk {
  readonly id: string
  readonly kind: ChunkKind
  readonly content: Buffer
}

/**
 * Puts chunks into packs and sends them. Nothing refers to them yet: what is sent when a backup is cut off is found by the next one, and used, or by
 * a prune, and removed.
 */
export class PackWriter {
  readonly #repository: Repository
  readonly #signal: AbortSignal | undefined
  readonly #idle: ZstdCompressor[] = []
  readonly #uploads = new Set<Promise<void>>()
  readonly #tables: PackTable[] = []
  #builder: PackBuilder
  #failure: { readonly error: unknown } | undefined
  #bytes = 0

  constructor(repository: Repository, signal?: AbortSignal) {
    this.#repository = repository
    this.#signal = signal
    this.#builder = new PackBuilder(repository.keys)
  }

  /** Bytes that were sent. */
  get bytes(): number {
    return this.#bytes
  }

  /** What is sent whole. */
  get tables(): readonly PackTable[] {
    return this.#tables
  }

  /** Resolves when there is room for more. May be called several times at once. @throws what the target throws */
  async add({ id, kind, content }: NewChunk): Promise<void> {
    const compressed = await this.#compress(content)
    const smaller = compressed.length < content.length
    const about = { id, kind, plainBytes: content.length, compression: smaller ? ('zstd' as const) : ('none' as const) }
    this.#builder.add(smaller ? compressed : content, about)
    if (this.#builder.isFull) await this.#send()
    this.#throwFailure()
  }

  /** Sends what is left, and then an index of all that was sent. @returns the tables of what is new */
  async finish(): Promise<readonly PackTable[]> {
    if (!this.#builder.isEmpty) await this.#send()
    await Promise.all(this.#uploads)
    this.#throwFailure()
    if (this.#tables.length > 0) await writePackIndex(this.#repository, this.#tables, this.#signal)
    return this.#tables
  }

  /** Waits for what is on its way: nothing is sent after that. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#uploads)
    for (const compressor of this.#idle) compressor.free()
    this.#idle.length = 0
  }

  async #compress(content: Buffer): Promise<Buffer> {
    const compressor = this.#idle.pop() ?? openZstdCompressor(level)
    try {
      return await compressor.compress(content)
    } finally {
      this.#idle.push(compressor)
    }
  }

  async #send(): Promise<void> {
    const { table, bytes } = this.#builder.finish()
    this.#builder = new PackBuilder(this.#repository.keys)
    const upload = this.#repository.target.put(objectNames.pack(table.pack), bytes, { signal: this.#signal }).then(
      () => {
        this.#tables.push(table)
        this.#bytes += bytes.length
      },
      (error: unknown) => {
        this.#failure ??= { error }
      },
    )
    this.#uploads.add(upload)
    void upload.finally(() => this.#uploads.delete(upload))
    while (this.#uploads.size >= uploadsAtOnce) await Promise.race(this.#uploads)
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

/** Says in one object what is in many packs. @returns its name */
export async function writePackIndex(
  { target, keys }: Repository,
  tables: readonly PackTable[],
  signal?: AbortSignal,
): Promise<string> {
  const name = objectNames.index(randomBytes(16).toString('hex'))
  await target.put(name, sealObject(keys, name, encodePackIndex(tables)), { signal })
  return name
}
