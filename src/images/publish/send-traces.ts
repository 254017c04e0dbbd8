import type { PublishedTrace } from '../../formats/index.ts'
import { type CollectTraces, collectTraces } from './collect-traces.ts'
import type { Publication } from './publication.ts'

export interface SentTraces {
  /** All that there are by now, in the order of their names, so that the same traces give the same manifest. */
  readonly traces: readonly PublishedTrace[]
  /** The names of those that this host has, or was given. */
  readonly own: readonly string[]
}

/** Sends the boot traces of a lower that its tag does not have yet. @throws Problem what collectTraces and the registry's client throw */
export async function sendTraces(
  publication: Publication,
  wanted: Omit<CollectTraces, 'repository' | 'signal'>,
): Promise<SentTraces> {
  const { repository, signal } = publication.to
  const { own, there } = await collectTraces({ ...wanted, repository, signal })
  const traces = [...there]
  for (const [name, bytes] of own) traces.push({ name, ...(await publication.sendBytes(bytes)) })
  return { traces: traces.sort((a, b) => (a.name < b.name ? -1 : 1)), own: [...own.keys()].sort() }
}
