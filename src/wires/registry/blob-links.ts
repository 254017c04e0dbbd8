/** Links that are kept at a time. */
const most = 1_000

/** Where a registry has its blobs, as it has said itself: a range of one need not be asked for twice. Such links are good for a while, and only their host knows how long. */
export class BlobLinks {
  /** By the path of a blob below `/v2/`, the one that was kept first before others. */
  readonly #links = new Map<string, URL>()

  get(blob: string): URL | undefined {
    return this.#links.get(blob)
  }

  keep(blob: string, link: URL): void {
    this.#links.delete(blob)
    this.#links.set(blob, link)
    const [oldest] = this.#links.keys()
    if (this.#links.size > most && oldest !== undefined) this.#links.delete(oldest)
  }

  forget(blob: string): void {
    this.#links.delete(blob)
  }
}
