declare const COWSHED_VERSION: string | undefined

/** The version of this build, stamped by scripts/build.mjs; `dev` when the sources run as they are. */
export const version: string = typeof COWSHED_VERSION === 'string' ? COWSHED_VERSION : 'dev'
