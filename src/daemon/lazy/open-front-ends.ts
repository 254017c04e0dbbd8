import type { LazyLower } from '../../lazy/index.ts'
import { formatNbdAddress, type NbdServerCounters, parseNbdAddress, serveFuse, serveNbd } from '../../wires/index.ts'

/** Where a lower is to be served: at one of them at least. */
export interface Places {
  /** As a block device: `unix:PATH` or `tcp:HOST:PORT`. */
  readonly nbd?: string | undefined
  /** As a file. */
  readonly fuse?: string | undefined
}

export interface FrontEnds extends AsyncDisposable {
  /** As clients write it: `nbd+unix:///?socket=…`. */
  readonly url?: string
  /** Of the file, without links. */
  readonly path?: string
  /** Resolves when the file was unmounted by somebody and nothing else is served. */
  readonly ended: Promise<void>
  /** Of all of them together. */
  counters(): NbdServerCounters
  /** @returns whether somebody had the file open, who can read it no more */
  close(): Promise<boolean>
}

interface FrontEnd {
  readonly served: Pick<FrontEnds, 'url' | 'path'>
  readonly ended?: Promise<void>
  counters(): NbdServerCounters
  close(): Promise<boolean>
}

/** Checks what can be checked before anything is asked of a registry. @throws Problem INVALID_REQUEST, PATH_TOO_LONG */
export function checkPlaces({ nbd }: Places): void {
  if (nbd !== undefined) parseNbdAddress(nbd)
}

/** Serves a lower wherever it is asked for, or nowhere; disposed of, it is closed. @throws Problem as serveNbd and serveFuse do */
export async function openFrontEnds(lower: LazyLower, { nbd, fuse }: Places): Promise<FrontEnds> {
  const opened: FrontEnd[] = []
  const close = async () => {
    let wasOpen = false
    for (const one of opened.splice(0)) wasOpen = (await one.close()) || wasOpen
    return wasOpen
  }
  try {
    if (nbd !== undefined) opened.push(await openNbd(lower, nbd))
    if (fuse !== undefined) opened.push(await openFuse(lower, fuse))
  } catch (error) {
    await close()
    throw error
  }
  const all = [...opened]
  const never = new Promise<void>(() => {})
  return {
    ...Object.assign({}, ...all.map(({ served }) => served)),
    ended: Promise.all(all.map(({ ended }) => ended ?? never)).then(() => {}),
    counters: () =>
      all.map((one) => one.counters()).reduce(sum, { clients: 0, connections: 0, reads: 0, readBytes: 0, errors: 0 }),
    close,
    [Symbol.asyncDispose]: async () => void (await close()),
  }
}

async function openNbd(lower: LazyLower, address: string): Promise<FrontEnd> {
  const server = await serveNbd(lower, parseNbdAddress(address))
  return {
    served: { url: formatNbdAddress(server.address) },
    counters: () => server.counters(),
    close: async () => {
      await server.close()
      return false
    },
  }
}

async function openFuse(lower: LazyLower, at: string): Promise<FrontEnd> {
  const { path, ...server } = await serveFuse(lower, at)
  return { served: { path }, ...server }
}

function sum(one: NbdServerCounters, other: NbdServerCounters): NbdServerCounters {
  return {
    clients: one.clients + other.clients,
    connections: one.connections + other.connections,
    reads: one.reads + other.reads,
    readBytes: one.readBytes + other.readBytes,
    errors: one.errors + other.errors,
  }
}
