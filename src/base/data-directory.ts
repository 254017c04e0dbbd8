export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The effective user id. */
  readonly uid: number
  readonly home: string
}

/**
 * Where the data directory is when nobody says: `$COWSHED_DATA`, else `/var/lib/cowshed` for root, else `$XDG_DATA_HOME/cowshed`
 * (`~/.local/share/cowshed` when that is not set or not absolute).
 *
 * @see XDG Base Directory Specification 0.8, "All paths set in these environment variables must be absolute"
 */
export function defaultDataDirectory({ env, uid, home }: Surroundings): string {
  if (env.COWSHED_DATA) return env.COWSHED_DATA
  if (uid === 0) return '/var/lib/cowshed'
  const xdg = env.XDG_DATA_HOME
  return `${xdg?.startsWith('/') ? xdg : `${home}/.local/share`}/cowshed`
}
