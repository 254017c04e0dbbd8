import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/**
 * The files that take longest, the longest first. What comes last decides how long one core has nothing to do: without this list vitest goes by how large a
 * file is where it has not run before, and some of the longest are a few lines that start real machines.
 */
const longest = [
  'test/system/debian.test.ts',
  'test/system/cut-verbs.test.ts',
  'test/system/cut-copies.test.ts',
  'test/system/killed-vmms.test.ts',
  'test/system/sheds.test.ts',
  'test/system/qemu-driver.test.ts',
  'test/system/volumes.test.ts',
  'test/system/memory-snapshots.test.ts',
  'test/system/forks.test.ts',
  'test/system/thermal.test.ts',
  'test/system/sleep.test.ts',
  'test/system/misbehaving-guest.test.ts',
  'src/images/lowers/debian-lower.test.ts',
  'test/system/snapshots.test.ts',
  'test/system/recovery.test.ts',
  'test/system/main-job.test.ts',
  'test/system/reclaim-running.test.ts',
  'test/system/published-images.test.ts',
  'test/system/ext4-sheds.test.ts',
  'test/system/guest-agent.test.ts',
  'src/images/pull/broken-pulls.test.ts',
  'test/system/hung-vmms.test.ts',
  'test/system/damaged-memory.test.ts',
  'test/system/snapshot-files.test.ts',
  'src/usage/dedupe/dedupe-files.test.ts',
  'src/images/boot-only/crashes.test.ts',
  'src/formats/erofs/mounted-images.test.ts',
  'test/system/boot-failures.test.ts',
  'src/images/lowers/mounted-lowers.test.ts',
  'test/system/refusals.test.ts',
  'test/system/backups.test.ts',
  'src/formats/ext4/mounted-ext4.test.ts',
  'src/images/build/build-image.test.ts',
  'test/system/daemon-process.test.ts',
  'test/system/prune-races.test.ts',
  'src/wires/registry/repository/read-blob.test.ts',
  'test/system/secrets.test.ts',
  'src/backups/killed.test.ts',
  'src/wires/agent/agent-program.test.ts',
  'test/system/image-commands.test.ts',
  'src/formats/erofs/compressed-images.test.ts',
  'src/usage/accounting/measure.test.ts',
  'src/wires/registry/repository/upload-blob.test.ts',
  'src/images/publish/published-forms.test.ts',
  'test/system/usage.test.ts',
  'src/images/publish/publish-image.test.ts',
  'test/system/eviction-figures.test.ts',
  'test/system/pull.test.ts',
  'test/system/limits.test.ts',
  'test/system/snapshots-at-rest.test.ts',
  'src/images/verify/verify-images.test.ts',
  'src/wires/registry/real-registry.test.ts',
  'src/wires/agent/hostile.test.ts',
  'test/system/terminal.test.ts',
  'src/images/lowers/lower-filesystems.test.ts',
  'src/images/boot-only/boot-only-pull.test.ts',
  'src/host/decompress.test.ts',
  'test/system/pressure.test.ts',
  'test/system/guest-kernel.test.ts',
  'test/system/dedupe.test.ts',
  'test/system/trim.test.ts',
  'test/system/snapshot-volumes.test.ts',
  'src/images/crashes.test.ts',
  'test/system/guest-tree.test.ts',
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
