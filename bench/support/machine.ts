import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'

/** Whatever a figure depends on besides the code. */
export function describeMachine(directory: string) {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    virtual: isVirtual(),
    kernel: release(),
    node: process.version,
    filesystem: execFileSync('stat', ['-f', '-c', '%T', directory]).toString().trim(),
    load: readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' '),
  }
}

function isVirtual(): boolean {
  return /^flags\s.*\bhypervisor\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))
}
