import { digestOf } from '../../base/index.ts'
import type { Descriptor } from '../../formats/index.ts'
import type { RepositoryName } from '../../wires/index.ts'
import { type BlobToSend, type SendTo, type Sent, sendBlob } from './send-blob.ts'

export interface PublishTo extends SendTo {
  /** Repositories that may have the blobs. */
  readonly mountFrom: readonly RepositoryName[]
}

/** One publication on its way: where to, and what it took. */
export class Publication {
  readonly to: PublishTo
  readonly blobs = { present: 0, mounted: 0, uploaded: 0 }
  uploadedBytes = 0

  constructor(to: PublishTo) {
    this.to = to
  }

  async send(blob: Omit<BlobToSend, 'mountFrom'>): Promise<void> {
    const { mountFrom } = this.to
    this.count(await sendBlob(this.to, { ...blob, mountFrom }), blob.size)
  }

  async sendBytes(bytes: Buffer): Promise<Pick<Descriptor, 'digest' | 'size'>> {
    const [digest, size] = [digestOf(bytes), bytes.length]
    await this.send({ digest, size, open: (from) => piece(bytes.subarray(from)) })
    return { digest, size }
  }

  async sendDocument(mediaType: string, bytes: Buffer): Promise<Descriptor> {
    const digest = digestOf(bytes)
    const { repository, signal } = this.to
    await repository.writeManifest({ reference: digest, mediaType, bytes, signal })
    return { mediaType, digest, size: bytes.length }
  }

  count(sent: Sent, size: number): void {
    this.blobs[sent]++
    if (sent === 'uploaded') this.uploadedBytes += size
  }
}

async function* piece(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}
