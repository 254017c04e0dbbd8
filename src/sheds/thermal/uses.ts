interface Entry {
  /** How many use it. */
  users: number
  /** By performance.now(): when the last of them went, or when its guest was last seen at work. */
  idleFrom: number
  /** The same for people. */
  idleSince: string
}

/** Since when nobody uses a shed. */
export interface Idle {
  readonly ms: number
  /** ISO 8601 */
  readonly since: string
}

/**
 * Who uses which shed. A shed that somebody uses is not made less than hot by the daemon, and one that the daemon is making so is not used before
 * that is over: both are decided here, with nothing in between.
 */
export class Uses {
  readonly #entries = new Map<string, Entry>()
  readonly #cooling = new Set<string>()

  /** Somebody uses it, until what is returned is disposed of: twice is once. */
  begin(name: string): Disposable {
    const entry = this.#entry(name)
    entry.users++
    let isOver = false
    return {
      [Symbol.dispose]: () => {
        if (isOver) return
        isOver = true
        entry.users--
        setIdleNow(entry)
      },
    }
  }

  /** It was used just now. */
  touch(name: string): void {
    setIdleNow(this.#entry(name))
  }

  /** @returns undefined while somebody uses it; a shed that is asked for the first time has been idle from then on */
  idle(name: string): Idle | undefined {
    const { users, idleFrom, idleSince } = this.#entry(name)
    return users > 0 ? undefined : { ms: performance.now() - idleFrom, since: idleSince }
  }

  isCooling(name: string): boolean {
    return this.#cooling.has(name)
  }

  /** Does what makes a shed less than hot, inside its transition. Who wants to use it from now on has to wait for the end of that. */
  async whileCooling<T>(name: string, cool: () => Promise<T>): Promise<T> {
    this.#cooling.add(name)
    try {
      return await cool()
    } finally {
      this.#cooling.delete(name)
    }
  }

  /** It has no VM any more. Those who use it still do not know yet, and are counted if they come to use the next. */
  forget(name: string): void {
    if (this.#entries.get(name)?.users === 0) this.#entries.delete(name)
  }

  #entry(name: string): Entry {
    const known = this.#entries.get(name)
    if (known !== undefined) return known
    const entry = setIdleNow({ users: 0, idleFrom: 0, idleSince: '' })
    this.#entries.set(name, entry)
    return entry
  }
}

function setIdleNow(entry: Entry): Entry {
  entry.idleFrom = performance.now()
  entry.idleSince = new Date().toISOString()
  return entry
}
