import type { Accuracy, ExtentSource } from './extent-source.ts'
import { ownExtent } from './own-extent.ts'

/** For filesystems that do not tell where anything is: each file has one extent of its own, of as many bytes as it has blocks. */
export function blockExtents(accuracy: Extract<Accuracy, 'block' | 'estimate'>): ExtentSource {
  return {
    accuracy,
    settle() {},
    extentsOf: (files) => files.map(({ allocatedBytes }) => ownExtent(allocatedBytes)),
    [Symbol.dispose]() {},
  }
}
