import { createRequire } from 'node:module'
import { temporaryDirectory } from './temporary-directory.ts'

export interface S3Server {
  readonly url: string
  readonly bucket: string
  /** What it accepts signatures of. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  /** Where it keeps its objects. */
  readonly directory: string
  [Symbol.asyncDispose](): Promise<void>
}

/** As much of s3rver as is used; it has no types of its own. */
type S3rver = new (options: object) => { run(): Promise<{ port: number }>; close(): Promise<void> }

/** A server that speaks S3 and checks signatures, on loopback, with an empty bucket. */
export async function startS3Server(): Promise<S3Server> {
  const Server = createRequire(import.meta.url)('s3rver') as S3rver
  const directory = await temporaryDirectory()
  const bucket = 'backups'
  const server = new Server({
    port: 0,
    address: '127.0.0.1',
    silent: true,
    directory: directory.path,
    configureBuckets: [{ name: bucket, configs: [] }],
  })
  const { port } = await server.run()
  return {
    url: `http://127.0.0.1:${port}`,
    bucket,
    // It knows these only.
    credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' },
    directory: directory.path,
    async [Symbol.asyncDispose]() {
      await server.close()
      await directory[Symbol.asyncDispose]()
    },
  }
}
