/**
 * What a shed gets when nobody says, and the least that it can have. Apart from sheds.ts so that a client that asks for these numbers does
 * not load zod.
 */
export const defaultMemoryBytes = 512 * 2 ** 20
export const smallestMemoryBytes = 64 * 2 ** 20
/** How much it can write to its disk. */
export const defaultUpperBytes = 5 * 2 ** 30
export const smallestUpperBytes = 64 * 2 ** 20
