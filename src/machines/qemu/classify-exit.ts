import type { MachineExit } from '../driver.ts'

/** What is known about a VMM that has ended. */
export interface ExitEvidence {
  /** We killed it ourselves. */
  readonly killedByUs: boolean
  /** The reason of QEMU's SHUTDOWN event, when it could send one. */
  readonly shutdownReason: string | undefined
  /** How the process ended, when it was our child. */
  readonly process: { readonly code?: number; readonly signal?: string } | undefined
  /** The end of what the guest printed. */
  readonly consoleTail: string
  /** The end of what QEMU printed. */
  readonly logTail: string
}

/**
 * Says how a VM ended.
 *
 * @see QEMU, qapi/run-state.json, ShutdownCause
 */
export function classifyExit(evidence: ExitEvidence): MachineExit {
  const { killedByUs, shutdownReason, process } = evidence
  switch (shutdownReason) {
    case 'guest-shutdown':
      return { kind: 'powerdown', reason: 'the guest shut down' }
    case 'guest-panic':
      return panic(evidence.consoleTail)
    case 'guest-reset':
      return panicked(evidence.consoleTail)
        ? panic(evidence.consoleTail)
        : { kind: 'reset', reason: 'the guest rebooted' }
  }
  if (killedByUs) return { kind: 'killed', reason: 'cowshed killed the VM' }
  if (process?.signal !== undefined) return { kind: 'killed', reason: `QEMU was killed by ${process.signal}` }
  if (shutdownReason?.startsWith('host-'))
    return { kind: 'killed', reason: `QEMU was told to quit (${shutdownReason})` }
  if (process?.code !== undefined && process.code !== 0) return failed(process.code, evidence.logTail)
  return { kind: 'killed', reason: 'QEMU died without saying why' }
}

/** A panic before the guest has loaded its panic device looks like a reboot; only what it printed tells. */
function panicked(consoleTail: string): boolean {
  return consoleTail.lastIndexOf(panicWords) > consoleTail.lastIndexOf('reboot: Restarting system')
}

function panic(consoleTail: string): MachineExit {
  const at = consoleTail.lastIndexOf(panicWords)
  const line = at < 0 ? '' : (consoleTail.slice(at + panicWords.length).split(/\r?\n/)[0] ?? '')
  const detail = line.replace(/^ syncing: /, '').trim()
  return { kind: 'panic', reason: `the guest's kernel panicked${detail === '' ? '' : `: ${detail}`}` }
}

function failed(code: number, logTail: string): MachineExit {
  return { kind: 'failed', reason: `QEMU failed with exit code ${code}${logTail === '' ? '' : `: ${logTail}`}` }
}

const panicWords = 'Kernel panic - not'
