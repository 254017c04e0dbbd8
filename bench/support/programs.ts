/** What programs are run in the image `programs`. */
export const programs = {
  true: ['/bin/true'],
  python: ['/usr/bin/python3', '-c', 'import json, ssl, sqlite3, urllib.request, asyncio; print("python")'],
  node: ['/usr/bin/node', '-e', 'console.log("node", require("https").globalAgent.protocol)'],
} as const
export type ProgramName = keyof typeof programs
export const programNames = Object.keys(programs) as ProgramName[]

/** Where the image is in the registry. */
export const published = 'bench/programs:1'

/** The boot trace of a VM in which a program is run; that of the program in a mounted image is called as the program. */
export function vmTrace(name: ProgramName): string {
  return `vm-${name}`
}
