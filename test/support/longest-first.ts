import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * The files that take longest, the longest first. What comes last decides how long one core has nothing to do: without this list vitest goes by how large a
 * file is where it has not run before, and some of the longest are a few lines that start real machines.
 */
const longest = [
  'test/system/debian.test.ts',
  'test/system/sheds.test.ts',
  'test/system/qemu-driver.test.ts',
  'test/system/main-job.test.ts',
  'test/system/recovery.test.ts',
  'test/system/cut-sleep.test.ts',
  'test/system/cut-copies.test.ts',
  'test/system/forks.test.ts',
  'test/system/memory-snapshots.test.ts',
  'test/system/hung-vmms.test.ts',
  'src/images/crashes.test.ts',
  'src/images/lowers/debian-lower.test.ts',
  'test/system/misbehaving-guest.test.ts',
  'test/system/thermal.test.ts',
  'test/system/reclaim-running.test.ts',
  'test/system/guest-agent.test.ts',
  'test/system/ext4-sheds.test.ts',
  'src/formats/ext4/mounted-ext4.test.ts',
  'src/formats/erofs/compressed-images.test.ts',
  'src/images/boot-only/boot-only-pull.test.ts',
  'test/system/pull.test.ts',
  'test/system/prune-races.test.ts',
  'src/usage/accounting/measure.test.ts',
  'test/system/daemon-process.test.ts',
  'test/system/boot-failures.test.ts',
  'test/system/guest-tree.test.ts',
  'test/system/image-commands.test.ts',
  'test/system/terminal.test.ts',
  'src/images/lowers/lower-process.test.ts',
  'src/images/verify/verify-images.test.ts',
  'src/images/publish/publish-image.test.ts',
  'test/system/eviction-figures.test.ts',
  'test/system/usage.test.ts',
].map((path) => join(import.meta.dirname, '../..', path))

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    for (const path of longest) if (!existsSync(path)) throw new Error(`${path} is gone: take it from the list`)
    const others = await super.sort(files)
    const place = ({ moduleId }: TestSpecification) =>
      longest.includes(moduleId) ? longest.indexOf(moduleId) : longest.length
    return others.sort((a, b) => place(a) - place(b))
  }
}
