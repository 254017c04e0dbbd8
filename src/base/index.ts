/**
 * base: the words everybody uses.
 *
 * Belongs here: digests, sizes, durations, names, the data directory's paths, Problem.
 * Promises: pure functions and values; no I/O, no npm packages.
 * Never: reads a file, knows what an image or a machine does.
 */
export { defaultDataDirectory, type Surroundings } from './data-directory.ts'
export {
  type CompressedProfile,
  type DataLayout,
  dataLayout,
  ext4WriterVersion,
  type LowerForm,
  type LowerProfile,
  lowerForms,
  lowerProfiles,
  maxSocketPath,
  memoryIn,
  writerVersion,
} from './data-layout.ts'
export {
  type Digest,
  DigestHasher,
  digestAlgorithm,
  digestHex,
  digestOf,
  isDigest,
  parseDigest,
  sha256Digest,
  shortDigest,
} from './digest.ts'
export { formatDuration, parseDuration } from './duration.ts'
export { inParallel } from './in-parallel.ts'
export { isName, newId, parseName } from './names.ts'
export { printable, printableBytes, printableJson } from './printable.ts'
export { errnoCode, isProblem, Problem, type ProblemDetails, problemFromSystem } from './problem.ts'
export { type ProblemCode, problemCodes } from './problem-codes.ts'
export type { OnProgress, Progress } from './progress.ts'
export { formatSize, parseSize } from './size.ts'
export { version } from './version.ts'
