import type { Digest } from '../../base/index.ts'
import type { Descriptor } from '../../formats/index.ts'

/** A repository of a registry: `registry.example:5000` and `team/app`. */
export interface RepositoryName {
  /** Host and, when there is one, port, as people write it: `docker.io`, not the host that answers for it. */
  readonly registry: string
  readonly path: string
}

/** A document as it came: its bytes are hashed and sent on as they are, never written anew. */
export interface RemoteManifest {
  /** Media type, digest and size of `bytes`: the digest was computed here. */
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ReadBlob extends RequestOptions {
  readonly digest: Digest
  /** Bytes of the whole blob. */
  readonly size: number
  /** Where to begin: bytes before it are not sent. 0 unless told. */
  readonly from?: number | undefined
  /** Where to end: bytes from there on are not sent. `size` unless told. */
  readonly until?: number | undefined
  /** False: from the registry itself, for when the bytes that a mirror gave were wrong. */
  readonly mirrors?: false | undefined
}

export interface UploadBlob extends RequestOptions {
  readonly digest: Digest
  readonly size: number
  /** The blob's bytes from an offset on; asked for again when an upload goes on after a failure. */
  readonly open: (from: number) => AsyncIterable<Uint8Array>
  /** Hears how many bytes the registry has; less than before when it has lost some. */
  readonly onBytes?: ((done: number) => void) | undefined
}

export interface WriteManifest extends RequestOptions {
  /** A tag, or the digest of the bytes. */
  readonly reference: string
  readonly mediaType: string
  readonly bytes: Uint8Array
}

/**
 * One repository. Every call authenticates as it must, retries what is worth retrying (back-off, Retry-After) within its deadline, and ends
 * in a result or a Problem.
 *
 * @throws (every method) Problem REGISTRY_UNREACHABLE, REGISTRY_FAILED, REGISTRY_UNAUTHORIZED, REGISTRY_NOT_FOUND, REGISTRY_THROTTLED, CANCELLED
 */
export interface Repository {
  readonly name: RepositoryName
  /**
   * What a tag or a digest stands for, without its body where the registry allows (HEAD, else GET). The digest of a tag is what the registry
   * claims; whoever reads it by that digest has it verified.
   *
   * @throws Problem REGISTRY_NOT_FOUND, IMAGE_UNSUPPORTED (a schema 1 manifest)
   */
  resolve(reference: string, options?: RequestOptions): Promise<Descriptor>
  /**
   * A manifest or index by tag or digest; by digest it is verified. It is what its media type says, and cannot be taken for anything else.
   *
   * @throws Problem DIGEST_MISMATCH, LIMIT_EXCEEDED, IMAGE_INVALID, IMAGE_UNSUPPORTED
   */
  readManifest(reference: string, options?: RequestOptions): Promise<RemoteManifest>
  /**
   * The bytes of a blob from an offset to its end, not verified: whoever has them all hashes them. A connection that breaks is taken up
   * where it broke. Never more than `size` bytes in all.
   *
   * @throws Problem SIZE_MISMATCH when the registry's blob is of another size
   */
  readBlob(request: ReadBlob): AsyncIterable<Buffer>
  hasBlob(digest: Digest, options?: RequestOptions): Promise<boolean>
  /** Makes a blob of another repository of the same registry one of this. False: it has to be uploaded. */
  mountBlob(digest: Digest, from: string, options?: RequestOptions): Promise<boolean>
  /** @throws Problem DIGEST_MISMATCH when the registry says so; whatever `open` throws */
  uploadBlob(request: UploadBlob): Promise<void>
  /**
   * Puts a document under a tag, or under its digest when that is the reference. What it refers to must be there. One with a `subject` is listed with that: by
   * the registry, or under a tag when it is of before OCI 1.1.
   */
  writeManifest(request: WriteManifest): Promise<Digest>
  /** Every tag, in the registry's order. */
  listTags(options?: RequestOptions): AsyncIterable<string>
}

export interface RepositoryOptions {
  /** http instead of https, whatever the settings say: `--insecure`. */
  readonly plainHttp?: boolean | undefined
}

/** The registries that this host talks to. */
export interface Registries {
  /** @throws Problem INVALID_REQUEST for names that are none; SETTINGS_INVALID */
  repository(name: RepositoryName, options?: RepositoryOptions): Repository
  /** Ends every connection. */
  close(): Promise<void>
}

/** How to talk to one registry; see docs/configuration.md. */
export interface RegistrySettings {
  readonly plain_http?: boolean | undefined
  readonly ca?: string | undefined
  readonly mirrors?: readonly string[] | undefined
}
