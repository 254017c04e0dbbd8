import type { PruneQuery, PruneReport, UsageExplained, UsageReport } from '../contract/index.ts'
import type { CacheKeeper } from '../images/index.ts'

/** Who holds which bytes, and getting them back. */
export interface Usage {
  df(): Promise<UsageReport>
  /**
   * Who shares what with one image, shed or file, by the name that df has for it.
   *
   * @throws Problem FILE_NOT_FOUND
   */
  explain(name: string): Promise<UsageExplained>
  /**
   * The plan of a prune, or with `dry_run` false its execution: instances, then images, then orphans, then logs, each re-checked under its lock.
   *
   * @throws Problem PLAN_CHANGED when `plan_id` names a plan that is not what would be done now
   */
  prune(query: PruneQuery): Promise<PruneReport>
  /** Keeps the cache within its budget. */
  readonly keeper: CacheKeeper
  /** Ends the thread that measures. */
  close(): Promise<void>
}
