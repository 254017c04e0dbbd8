import type { S3Bucket } from '../../wires/index.ts'
import type { BackupTarget, ByteRange, TargetObject, TargetOptions } from './target.ts'

/** No object that cowshed writes is larger: a pack that is full, and one chunk more. */
const maxObjectBytes = 256 << 20

interface S3TargetOptions {
  readonly url: string
  readonly bucket: S3Bucket
  /** Before every name; empty, or with a slash at its end. */
  readonly prefix: string
}

/** A prefix of a bucket. */
export class S3Target implements BackupTarget {
  readonly url: string
  readonly #bucket: S3Bucket
  readonly #prefix: string

  constructor({ url, bucket, prefix }: S3TargetOptions) {
    this.url = url
    this.#bucket = bucket
    this.#prefix = prefix
  }

  async get(name: string, { signal, range }: TargetOptions & { range?: ByteRange } = {}): Promise<Buffer | undefined> {
    return await this.#bucket.get(this.#prefix + name, {
      signal,
      maxBytes: maxObjectBytes,
      ...(range === undefined ? {} : { range }),
    })
  }

  async put(name: string, bytes: Buffer, options?: TargetOptions): Promise<void> {
    await this.#bucket.put(this.#prefix + name, bytes, options)
  }

  async putNew(name: string, bytes: Buffer, options?: TargetOptions): Promise<boolean> {
    return await this.#bucket.putNew(this.#prefix + name, bytes, options)
  }

  async *list(prefix: string, options?: TargetOptions): AsyncGenerator<TargetObject> {
    for await (const { key, ...rest } of this.#bucket.list(this.#prefix + prefix, options)) {
      if (key.startsWith(this.#prefix)) yield { name: key.slice(this.#prefix.length), ...rest }
    }
  }

  async remove(name: string, options?: TargetOptions): Promise<void> {
    await this.#bucket.remove(this.#prefix + name, options)
  }

  /** A store shows nothing that is half written. */
  async tidy(): Promise<void> {}

  async close(): Promise<void> {
    await this.#bucket.close()
  }
}
