import type {
  DedupeReport,
  DedupeRequest,
  PruneQuery,
  PruneReport,
  TrimReport,
  TrimRequest,
  UsageExplained,
  UsageGrowth,
  UsageReport,
} from '../contract/index.ts'
import type { CacheKeeper } from '../images/index.ts'
import type { LongWork } from '../sheds/index.ts'

/** Who holds which bytes, and getting them back. */
export interface Usage {
  df(): Promise<UsageReport>
  /**
   * Who shares what with one image, shed or file, by the name that df has for it.
   *
   * @throws Problem FILE_NOT_FOUND
   */
  explain(name: string): Promise<UsageExplained>
  /** How what is on disk has changed in so many milliseconds. @throws Problem USAGE_NOT_SAMPLED when nobody had looked so long ago */
  growth(sinceMs: number): Promise<UsageGrowth>
  /**
   * The plan of a prune, or with `dry_run` false its execution: instances, then images, then orphans, then logs, each re-checked under its lock.
   *
   * @throws Problem PLAN_CHANGED when `plan_id` names a plan that is not what would be done now
   */
  prune(query: PruneQuery): Promise<PruneReport>
  /**
   * Finds what disks have in common, and unless it is a dry run lets them have it only once. One at a time.
   *
   * @throws Problem SHED_NOT_FOUND, HOST_UNSUPPORTED where files cannot share, CANCELLED
   */
  dedupe(request: DedupeRequest, work?: LongWork): Promise<DedupeReport>
  /**
   * Has sheds give back what their filesystems have free: the guests of running ones, or the host by the bitmaps of those at rest.
   *
   * @throws Problem SHED_NOT_FOUND, CANCELLED
   */
  trim(request: TrimRequest, work?: LongWork): Promise<TrimReport>
  /** Keeps the cache within its budget, and prunes when the disk runs full, if that is wanted. */
  readonly keeper: CacheKeeper
  /** Ends the thread that measures. */
  close(): Promise<void>
}
