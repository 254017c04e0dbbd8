import type { OnProgress } from '../base/index.ts'
import type {
  DoctorReport,
  ImageDetail,
  ImageSummary,
  RemoveImageReply,
  ServerInfo,
  SetupReply,
  SetupRequest,
} from '../contract/index.ts'
import type { LongWork, Sheds } from '../sheds/index.ts'
import type { EventLog } from '../state/index.ts'
import type { Usage } from '../usage/index.ts'

/** What the routes ask of images. */
export interface ImageRoom {
  load(request: {
    readonly source: { readonly path: string } | { readonly stream: AsyncIterable<Buffer> }
    readonly tag?: string | undefined
    readonly onProgress?: OnProgress | undefined
    readonly signal?: AbortSignal | undefined
  }): Promise<ImageSummary[]>
  /** Writes to a path that must not exist. @returns bytes written */
  saveTo(request: { readonly refs: readonly string[]; readonly path: string } & LongWork): Promise<number>
  /** The archive as bytes; every ref has been resolved when this returns. */
  archive(refs: readonly string[]): Promise<AsyncIterable<Buffer>>
  list(): Promise<ImageSummary[]>
  inspect(ref: string): Promise<ImageDetail>
  tag(ref: string, tag: string): Promise<void>
  remove(ref: string, options: { readonly force: boolean }): Promise<RemoveImageReply>
}

/** All that the routes are made from. */
export interface Rooms {
  readonly info: ServerInfo
  readonly sheds: Sheds
  readonly images: ImageRoom
  readonly usage: Usage
  readonly events: EventLog
  readonly doctor: () => Promise<DoctorReport>
  readonly setUp: (request: SetupRequest, work: LongWork) => Promise<SetupReply>
}
