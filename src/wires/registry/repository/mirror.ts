import type { Endpoint } from '../endpoint.ts'
import type { RepositoryContext } from './repository-context.ts'

/** How long a mirror that failed is left alone, so that not every blob of an image waits for it. */
const restMs = 60_000

/** A registry that serves copies of another one's blobs and manifests. */
export class Mirror {
  readonly endpoint: Endpoint
  readonly #prefix: string
  #restsUntil = 0

  constructor(endpoint: Endpoint, prefix: string) {
    this.endpoint = endpoint
    this.#prefix = prefix
  }

  get rests(): boolean {
    return performance.now() < this.#restsUntil
  }

  rest(): void {
    this.#restsUntil = performance.now() + restMs
  }

  /** Where it has a repository of the registry. */
  contextOf({ path, title }: RepositoryContext): RepositoryContext {
    return { endpoint: this.endpoint, path: `${this.#prefix}${path}`, title }
  }
}
