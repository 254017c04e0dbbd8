/** What a lazy lower has done since it was opened. Bytes, but where they are milliseconds or numbers of things. */
export interface LazyCounters {
  /** Requests to the registry. */
  requests: number
  /** Bytes of blobs that were asked for. */
  requestedBytes: number
  /** Bytes of the lower that came from the registry and are right. */
  fetchedBytes: number
  /** Bytes of leaves that were fetched before anybody read them, and that nobody has read yet: what was fetched for nothing, in the end. */
  unreadBytes: number
  /** As `fetchedBytes`, from layers and lowers that this host has. */
  hostBytes: number
  /** Reads that had to wait for something that was not here, and how long in all. */
  misses: number
  stallMs: number
  /** Requests that failed and were made again. */
  retries: number
  /** Leaves that came and were not what they must be. */
  wrongLeaves: number
  /** Leaves of the cache that were not what they must be: they are fetched anew. */
  damagedLeaves: number
  /** Leaves that were right and could not be kept: the disk is full. */
  unsavedLeaves: number
}

export function newCounters(): LazyCounters {
  return {
    requests: 0,
    requestedBytes: 0,
    fetchedBytes: 0,
    unreadBytes: 0,
    hostBytes: 0,
    misses: 0,
    stallMs: 0,
    retries: 0,
    wrongLeaves: 0,
    damagedLeaves: 0,
    unsavedLeaves: 0,
  }
}
