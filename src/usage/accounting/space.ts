/** Bytes, as far as they can be known; both are the same where they are exact. */
export interface Bytes {
  readonly atLeast: number
  readonly atMost: number
}

/** The part of the disk that exactly these owners refer to. Owners are numbers: files, or whatever has files. */
export interface Space {
  /** Ascending, each once. */
  readonly owners: readonly number[]
  /** Whether anybody who is no owner refers to it too: then it stays when all owners go. */
  readonly others: 'none' | 'some' | 'unknown'
  readonly bytes: Bytes
}

export const noBytes: Bytes = { atLeast: 0, atMost: 0 }

export function addBytes(a: Bytes, b: Bytes): Bytes {
  return { atLeast: a.atLeast + b.atLeast, atMost: a.atMost + b.atMost }
}

export function exactly(bytes: number): Bytes {
  return { atLeast: bytes, atMost: bytes }
}

/** What of a space is free once all its owners are gone. */
export function freeable({ others, bytes }: Space): Bytes {
  if (others === 'some') return noBytes
  return others === 'none' ? bytes : { atLeast: 0, atMost: bytes.atMost }
}

/** Adds up spaces of the same owners as they come. */
export function spaceTable() {
  const spaces = new Map<string, Space>()
  return {
    /** @param key names the owners, nobody else's and no others' */
    add(key: string, others: Space['others'], bytes: Bytes, owners: () => readonly number[]): void {
      const full = `${key} ${others}`
      const known = spaces.get(full)
      if (known === undefined) spaces.set(full, { owners: owners(), others, bytes })
      else spaces.set(full, { ...known, bytes: addBytes(known.bytes, bytes) })
    },
    done: (): Space[] => [...spaces.values()],
  }
}
