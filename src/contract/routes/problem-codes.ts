/** What can go wrong in the same way on several routes. */
export const shedCodes = ['SHED_NOT_FOUND', 'SHED_BUSY', 'SHED_BROKEN'] as const
export const startCodes = [
  'HOST_FULL',
  'KERNEL_NOT_FOUND',
  'IMAGE_NOT_FOUND',
  'BOOT_FAILED',
  'MACHINE_FAILED',
  'NO_SPACE',
] as const
/** Of one that goes on from a memory. */
export const wakeCodes = ['MEMORY_DAMAGED', 'STATE_MISMATCH'] as const
/** Of what reads all of a snapshot: its memory may have to be inflated. */
export const snapshotReadCodes = ['SNAPSHOT_BUSY', 'MEMORY_DAMAGED', 'NO_SPACE'] as const
/** Of what needs the guest: one that stands still or sleeps is woken for it. */
export const guestCodes = [
  ...shedCodes,
  'SHED_NOT_RUNNING',
  'AGENT_UNREACHABLE',
  'AGENT_PROTOCOL',
  'HOST_FULL',
  'MACHINE_FAILED',
  'NO_SPACE',
  ...wakeCodes,
] as const
export const archiveCodes = [
  'IMAGE_INVALID',
  'IMAGE_UNSUPPORTED',
  'TAR_INVALID',
  'DIGEST_MISMATCH',
  'NO_SPACE',
] as const
export const registryCodes = [
  'REGISTRY_UNREACHABLE',
  'REGISTRY_UNAUTHORIZED',
  'REGISTRY_NOT_FOUND',
  'REGISTRY_THROTTLED',
  'REGISTRY_FAILED',
] as const
export const mountCodes = ['VOLUME_NOT_FOUND', 'VOLUME_IN_USE', 'VOLUME_NOT_CLEAN'] as const
