export interface ConfigSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
}

/**
 * Where a person's own settings of the command line are: `$XDG_CONFIG_HOME/cowshed`, `~/.config/cowshed` when that is not set or not absolute.
 *
 * @see XDG Base Directory Specification 0.8
 */
export function configDirectory({ env, home }: ConfigSurroundings): string {
  const xdg = env.XDG_CONFIG_HOME
  return `${xdg?.startsWith('/') ? xdg : `${home}/.config`}/cowshed`
}
