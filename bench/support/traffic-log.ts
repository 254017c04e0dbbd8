import type { Measured } from './bench.ts'
import type { Link, LinkTraffic } from './open-link.ts'
import { summarize } from './statistics.ts'

/** What each contestant has had over a link, run by run. */
export class TrafficLog {
  readonly #link: Link
  readonly #taken = new Map<string, LinkTraffic[]>()

  constructor(link: Link) {
    this.#link = link
  }

  /** @returns what `once` returns */
  async count<T>(title: string, once: () => Promise<T>): Promise<T> {
    await this.#link.traffic()
    const value = await once()
    this.#taken.set(title, [...this.of(title), await this.#link.traffic()])
    return value
  }

  of(title: string): readonly LinkTraffic[] {
    return this.#taken.get(title) ?? []
  }

  /** Below the times of a contestant. */
  rowsOf(title: string): Measured[] {
    const taken = this.of(title)
    const requests = taken.map((one) => one.requests)
    const megabytes = taken.map(({ bytes }) => bytes / 1e6)
    return [
      { kind: 'measured', name: '… requests', unit: 'GETs', ...summarize(requests) },
      { kind: 'measured', name: '… over the link', unit: 'MB', ...summarize(megabytes) },
    ]
  }
}
