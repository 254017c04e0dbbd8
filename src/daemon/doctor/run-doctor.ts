import type { DataLayout } from '../../base/index.ts'
import { isProblem } from '../../base/index.ts'
import type { DoctorCheck, DoctorReport } from '../../contract/index.ts'
import type { Driver } from '../../machines/index.ts'
import { dataDirectoryCheck, lockCheck, runDirectoryCheck, spaceCheck, stagingCheck } from './directory-checks.ts'
import { accelerationCheck, driverCheck, kernelCheck } from './machine-checks.ts'
import { libzstdCheck, loopbackCheck, nodeCheck, toolCheck } from './program-checks.ts'

export interface DoctorOptions {
  readonly layout: DataLayout
  readonly driver: Driver
  readonly runDirectory: string
}

/** One thing that is looked at. A check that fails to look has failed; it never throws. */
export interface Check {
  readonly name: string
  readonly look: (options: DoctorOptions) => Promise<Omit<DoctorCheck, 'name'>>
}

const checks: readonly Check[] = [
  nodeCheck,
  dataDirectoryCheck,
  spaceCheck,
  lockCheck,
  stagingCheck,
  runDirectoryCheck,
  driverCheck,
  kernelCheck,
  accelerationCheck,
  toolCheck('mke2fs', 'e2fsprogs'),
  libzstdCheck,
  loopbackCheck,
]

/** Looks at everything that sheds need from this host; changes nothing. */
export async function runDoctor(options: DoctorOptions): Promise<DoctorReport> {
  return { checks: await Promise.all(checks.map((check) => run(check, options))) }
}

async function run({ name, look }: Check, options: DoctorOptions): Promise<DoctorCheck> {
  try {
    return { name, ...(await look(options)) }
  } catch (error) {
    const hint = isProblem(error) ? error.hint : undefined
    return { name, verdict: 'failed', found: (error as Error).message, ...(hint === undefined ? {} : { hint }) }
  }
}
