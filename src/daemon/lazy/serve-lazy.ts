import { type DataLayout, dataLayout, formatDuration, isProblem, type Problem } from '../../base/index.ts'
import type { LazyReport, ServedLazy } from '../../contract/index.ts'
import { platformOf } from '../../formats/index.ts'
import type { OutagePolicy } from '../../lazy/index.ts'
import { openRegistries } from '../../wires/index.ts'
import { makeRunDirectory } from '../run-directory.ts'
import { readSettings } from '../settings/read-settings.ts'
import { attachLazy } from './attach-lazy.ts'
import type { AttachedLazy } from './attached-lazy.ts'
import { checkPlaces, type FrontEnds, openFrontEnds, type Places } from './open-front-ends.ts'
import { makeServingDirectory, servingDirectory } from './serving-directory.ts'
import { countsOf, type StatusTeller, type TellStatus, tellStatus } from './serving-status.ts'

export interface ServeLazy extends Places {
  readonly dataDirectory: string
  readonly reference: string
  /** http instead of https. */
  readonly insecure: boolean
  /** Reads fail when nothing came for so long; undefined: they wait for as long as it takes. */
  readonly failAfterMs: number | undefined
  /** The boot trace that is replayed, or recorded. */
  readonly trace?: string | undefined
  /** Fetch all of it, behind those who read. */
  readonly fill: boolean
  /** At most so fast. */
  readonly fillBytesPerSecond?: number | undefined
  /** It ends when nobody is connected to it any more. */
  readonly untilUnused: boolean
  /** Aborted when it is to end. */
  readonly signal: AbortSignal
  /** It can be connected to. */
  readonly onReady: (served: ServedLazy) => void
  /** What a person should know. */
  readonly onNotice: (message: string) => void
}

/** A request ends with its second failure: whether to go on is for the policy to say. A registry that makes nothing of ranges is asked for the whole the second time. */
const patience = { tries: 2, connectMs: 5_000, idleMs: 10_000, firstPauseMs: 200 }

/**
 * Serves a published image as a block device, as a file, or as both until it is told to stop, in this process and with no daemon: what is read is fetched first, verified, and kept.
 *
 * @returns what it took
 * @throws Problem IMAGE_UNSUPPORTED when the image was not published; INVALID_REQUEST, PORT_IN_USE, FILE_EXISTS, PERMISSION_DENIED, HOST_UNSUPPORTED, REGISTRY_*, NO_SPACE, IO_FAILED
 */
export async function serveLazy(options: ServeLazy): Promise<LazyReport> {
  process.umask(0o077)
  const { reference, insecure, trace, signal, onNotice } = options
  const layout = dataLayout(options.dataDirectory)
  checkPlaces(options)
  const settings = await readSettings(layout.config)
  const registries = openRegistries({ settings: settings.registries, patience })
  /** There is something new to tell of it. */
  let changed = () => {}
  try {
    await using attached = await attachLazy({
      ...{ layout, registries, reference, insecure, trace, signal, onNotice },
      platform: platformOf(process.arch),
      policy: policyOf(options),
      listener: outageNotices((message) => {
        onNotice(message)
        changed()
      }),
    })
    const { lower, source } = attached
    await using server = await openFrontEnds(lower, options)
    await using status = await openStatus({ layout, onNotice }, { lower, server, chunkIndex: attached.chunkIndex })
    changed = status.tell
    const served = {
      reference,
      manifest_digest: source.manifest_digest,
      chunk_index_digest: attached.chunkIndex,
      ...placesOf(server),
      bytes: lower.bytes,
    }
    options.onReady(served)
    const ending = whenToEnd(options, server)
    const wrong = hearOfMismatch(attached)
    const filling =
      options.fill || attached.isUnverified ? fill({ ...options, signal: ending }, attached) : Promise.resolve()
    await aborted(ending)
    await filling
    const counts = countsOf(lower, server)
    if (await server.close()) onNotice(`${server.path} was open: whoever reads it gets errors from now on`)
    return { ...served, ...counts, ...(wrong.problem !== undefined && { wrong: wrong.problem.message }) }
  } finally {
    await registries.close()
  }
}

/** Without it all is as well, but that nobody sees what it does. */
async function openStatus({ layout, onNotice }: WhereToTell, served: Served): Promise<StatusTeller> {
  try {
    const runDirectory = await makeRunDirectory(layout, { uid: process.geteuid?.() ?? 0, env: process.env })
    const directory = servingDirectory(runDirectory, served.chunkIndex)
    await makeServingDirectory(directory)
    return await tellStatus({ ...served, directory })
  } catch (error) {
    if (!isProblem(error)) throw error
    onNotice(`what it does is not shown by lazy ls: ${error.message}`)
    return { tell: () => {}, [Symbol.asyncDispose]: async () => {} }
  }
}

interface WhereToTell extends Pick<ServeLazy, 'onNotice'> {
  readonly layout: DataLayout
}

type Served = Omit<TellStatus, 'directory'>

function policyOf({ failAfterMs }: ServeLazy): OutagePolicy {
  return failAfterMs === undefined ? { kind: 'hang' } : { kind: 'fail', afterMs: failAfterMs }
}

function outageNotices(onNotice: ServeLazy['onNotice']) {
  return {
    degraded: (problem: Problem) => onNotice(`the registry does not give what is read: ${problem.message}`),
    recovered: () => onNotice('the registry gives again'),
  }
}

/** What could only be verified in the end, and was wrong: whoever has started this must hear of it, however it ends. */
function hearOfMismatch({ whole }: AttachedLazy): { problem?: Problem } {
  const heard: { problem?: Problem } = {}
  whole.catch((error: unknown) => {
    if (isProblem(error, 'DIGEST_MISMATCH')) heard.problem = error
  })
  return heard
}

async function fill(
  { fillBytesPerSecond, signal, onNotice }: ServeLazy,
  { lower, whole }: AttachedLazy,
): Promise<void> {
  const begun = Date.now()
  try {
    await lower.fill({ bytesPerSecond: fillBytesPerSecond, signal })
    // A lower with damage that only a pull can mend; or what could not be made durable, of which there was word.
    if (lower.leaves.missing > 0 || !(await succeeds(whole))) return
    onNotice(
      `all of it is here, after ${formatDuration(Math.max(1000, Date.now() - begun))}: no registry is needed from now on`,
    )
  } catch (error) {
    if (!isProblem(error)) throw error
    // Of what is not what was published there was word already.
    if (error.code !== 'CANCELLED' && error.code !== 'DIGEST_MISMATCH')
      onNotice(`it is not fetched any further: ${error.message}`)
  }
}

async function succeeds(work: Promise<void>): Promise<boolean> {
  return await work.then(
    () => true,
    () => false,
  )
}

function placesOf({ url, path }: FrontEnds): Pick<ServedLazy, 'url' | 'path'> {
  return { ...(url !== undefined && { url }), ...(path !== undefined && { path }) }
}

/** Aborted when it is told to end, when nobody uses it any more (if that is an end), or when nothing is served any more. */
function whenToEnd({ signal, untilUnused, onNotice }: ServeLazy, server: FrontEnds): AbortSignal {
  const ended = new AbortController()
  void server.ended.then(() => {
    if (!signal.aborted) onNotice(`${server.path} was unmounted`)
    ended.abort()
  })
  return AbortSignal.any([signal, ended.signal, ...(untilUnused ? [whenUnused(server)] : [])])
}

/** How long nobody may be connected, in milliseconds, once somebody was and before that, when a busy machine may keep him; and how often that is looked at. */
const unused = { graceMs: 3_000, firstMs: 60_000, lookMs: 500 }

/** Aborted when nobody has been connected for a while. */
function whenUnused({ counters }: FrontEnds): AbortSignal {
  const ending = new AbortController()
  let endAt = performance.now() + unused.firstMs
  let known = 0
  const timer = setInterval(() => {
    const { clients, connections } = counters()
    // Some come and go between two looks.
    if (clients > 0 || connections > known) endAt = performance.now() + unused.graceMs
    known = connections
    if (performance.now() < endAt) return
    clearInterval(timer)
    ending.abort()
  }, unused.lookMs)
  timer.unref()
  return ending.signal
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
