/**
 * What a shed gets when nobody says, and the least that it can have. Apart from sheds.ts so that a client that asks for these numbers does
 * not load zod.
 */
export const defaultMemoryBytes = 512 * 2 ** 20
export const smallestMemoryBytes = 64 * 2 ** 20
/** How much it can write to its disk. */
export const defaultUpperBytes = 5 * 2 ** 30
export const smallestUpperBytes = 64 * 2 ** 20

/** With less, a guest is not ready in time. */
export const smallestRate = 2 ** 20
export const fewestOperations = 100

/** A microvm has places for 24 devices: a shed needs 5, its lower up to 12. */
export const volumesOfShed = 7
export const smallestVolumeBytes = smallestUpperBytes
/** Where something can be mounted in a guest: what a shed is made of itself is not hidden below a volume. */
export const guestMountPath = /^(?!\/(?:proc|sys|dev|run)(?:\/|$))(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/

export const secretsOfShed = 64
/** Where the host can put a file in a guest. */
export const guestFilePath = /^(?!\/(?:proc|sys|dev)(?:\/|$))(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/
export const environmentName = /^[A-Za-z_][A-Za-z0-9_]*$/

/** What is asked for at once and then again would find a shed that is on its way down. */
export const shortestIdleMs = 1000

/** How many forks of a shed can be made at once. */
export const mostForks = 256
