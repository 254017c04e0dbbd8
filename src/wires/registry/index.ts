/**
 * wires/registry: the client of OCI and Docker registries.
 *
 * Promises: bytes that are right or a typed Problem within a deadline, whatever a registry or the network does; credentials are shown to
 * nobody but the registry and its token server; what has begun is taken up where it broke.
 * Never: stores anything; trusts a digest, a length or an address that a registry names; puts a token into a message.
 */

export type { Patience } from '../patience/patience.ts'
export { formatRepository, type ImageLocation, locateImage } from './locate-image.ts'
export { type OpenRegistries, openRegistries } from './open-registries.ts'
export type {
  ReadBlob,
  Registries,
  RegistrySettings,
  RemoteManifest,
  Repository,
  RepositoryName,
  RepositoryOptions,
  RequestOptions,
  UploadBlob,
  WriteManifest,
} from './registry.ts'
export { mostSpecific, normalizeRepositoryKey, repositoryKeys } from './repository-keys.ts'
