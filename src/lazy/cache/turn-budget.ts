/** So many pieces of work are done in one turn of the event loop, by all who have some, in the order in which they came: between two turns others are served. */
export class TurnBudget {
  readonly #perTurn: number
  #left: number
  #waiting: (() => void)[] = []
  #isRunning = false

  constructor(perTurn: number) {
    this.#perTurn = perTurn
    this.#left = perTurn
  }

  /** Resolves when one piece may be done. */
  next(): Promise<void> {
    const allowed = new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#admit()
    if (!this.#isRunning) setImmediate(this.#turn)
    this.#isRunning = true
    return allowed
  }

  #turn = (): void => {
    this.#left = this.#perTurn
    this.#admit()
    // Once more when there was something to do: what is done now still belongs to this turn.
    this.#isRunning = this.#left < this.#perTurn
    if (this.#isRunning) setImmediate(this.#turn)
  }

  #admit(): void {
    const admitted = this.#waiting.splice(0, this.#left)
    this.#left -= admitted.length
    for (const admit of admitted) admit()
  }
}
