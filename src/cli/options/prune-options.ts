import type { Command } from 'commander'
import { parseDuration } from '../../base/index.ts'
import { sizeAtLeast } from './size-at-least.ts'

export interface CacheOptions {
  readonly cacheOnly?: boolean
  readonly maxUsed?: number
  readonly keepFree?: number
}

/** What of the cache goes: for every command that prunes it. */
export function addCacheOptions(command: Command): Command {
  return command
    .option('--cache-only', 'what is made from images and can be made again, unless a running shed has it open')
    .option(
      '--max-used <size>',
      'of the cache only what was used longest ago, until it takes no more than this',
      sizeAtLeast('--max-used', 0),
    )
    .option(
      '--keep-free <size>',
      'of the cache only what was used longest ago, until so much of the disk is free',
      sizeAtLeast('--keep-free', 0),
    )
}

/** Whether any of them is about the cache. */
export function isAboutCache({ cacheOnly, maxUsed, keepFree }: CacheOptions): boolean {
  return cacheOnly === true || maxUsed !== undefined || keepFree !== undefined
}

/** A duration, passed on as it is written; the daemon shows it again. */
export function checkedDuration(text: string): string {
  parseDuration(text)
  return text
}
