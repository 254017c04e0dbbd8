import { Problem } from '../../base/index.ts'
import { runTool } from '../../host/index.ts'
import type { Driver } from '../driver.ts'
import { adoptQemu } from './adopt-qemu.ts'
import { hostArchitecture } from './host-architecture.ts'
import { startQemu } from './start-qemu.ts'
import { identifyState } from './state/identify-state.ts'
import { tscArguments } from './tsc-arguments.ts'

/** Before 7.2 a microvm has no panic device, and `max` no AVX under emulation. */
const oldest = [7, 2] as const

/** The driver for QEMU: a microvm with virtio-mmio devices, its monitor and the agent's channel on unix sockets. */
export function createQemuDriver(): Driver {
  const version = once(qemuVersion)
  const clock = once(tscArguments)
  return {
    name: 'qemu',
    probe: async () => ({ version: await version() }),
    identify: async (spec) => identifyState(spec, await version()),
    start: async (spec, onSpawned) => {
      const emulatedPc = spec.acceleration === 'tcg' && process.arch === 'x64'
      return await startQemu({
        spec,
        onSpawned,
        driverVersion: await version(),
        clockArguments: emulatedPc ? await clock() : [],
      })
    },
    adopt: adoptQemu,
  }
}

async function qemuVersion(): Promise<string> {
  const { qemu } = hostArchitecture()
  const { stdout } = await runTool(qemu, ['--version'], { timeoutMs: 10_000 })
  const match = /version (\d+)\.(\d+)(\.\d+)*/.exec(stdout.toString('latin1'))
  if (match === null) throw new Problem('TOOL_FAILED', `${qemu} --version does not say its version`)
  const [major, minor] = [Number(match[1]), Number(match[2])]
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    throw new Problem('HOST_UNSUPPORTED', `${match[0]} of QEMU is too old: cowshed needs ${oldest.join('.')} or newer`)
  }
  return match[0].replace('version ', '')
}

/** Remembers a success; a failure is tried again, for the user may have installed QEMU since. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= work().catch((error: unknown) => {
      result = undefined
      throw error
    })
    return result
  }
}
