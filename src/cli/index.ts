/**
 * cli: the command line.
 *
 * Belongs here: one file per command, and what they share: the terminal, progress, the client of the daemon's API.
 * Promises: data on stdout, everything else on stderr; exit codes as docs/cli.md lists them; nothing is loaded that the command does not need.
 * Never: touches the data directory (but to start a daemon for it); speaks anything but HTTP.
 */
export { type MainOptions, main } from './main.ts'
