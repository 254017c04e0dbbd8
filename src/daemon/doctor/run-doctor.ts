import { isProblem, type OnProgress } from '../../base/index.ts'
import type { DoctorCheck, DoctorReport } from '../../contract/index.ts'
import type { Check, Host } from './check.ts'
import { cloneCheck } from './clone-check.ts'
import { confinementCheck } from './confinement-check.ts'
import { dataDirectoryCheck, lockCheck, spaceCheck, stagingCheck } from './directory-checks.ts'
import { limitsCheck } from './limits-check.ts'
import { lowersCheck } from './lowers-check.ts'
import { accelerationCheck, driverCheck, kernelCheck, templateCheck } from './machine-checks.ts'
import { libzstdCheck, loopbackCheck, nodeCheck, toolCheck } from './program-checks.ts'
import { deadRamDirectoriesCheck, deadRunDirectoriesCheck, runDirectoryCheck } from './run-directory-checks.ts'

/** In the order in which they are fixed: a template needs mke2fs, acceleration a kernel. */
const checks: readonly Check[] = [
  nodeCheck,
  dataDirectoryCheck,
  cloneCheck,
  spaceCheck,
  lockCheck,
  stagingCheck,
  runDirectoryCheck,
  deadRunDirectoriesCheck,
  deadRamDirectoriesCheck,
  driverCheck,
  kernelCheck,
  accelerationCheck,
  toolCheck('mke2fs', 'e2fsprogs'),
  templateCheck,
  lowersCheck,
  limitsCheck,
  confinementCheck,
  libzstdCheck,
  loopbackCheck,
]

/** Looks at everything that sheds need from this host; changes nothing. Never throws: what cannot be looked at has failed. */
export async function runDoctor(host: Host): Promise<DoctorReport> {
  return { checks: await Promise.all(checks.map((check) => run(check, host))) }
}

export interface FixHost {
  readonly onProgress?: OnProgress | undefined
}

/** Looks at the same, does what can be done about what is not well, and tells how it is then. */
export async function fixHost(host: Host, work: FixHost = {}): Promise<DoctorReport> {
  const reports: DoctorCheck[] = []
  for (const check of checks) {
    const found = await run(check, host)
    const fixed = found.verdict === 'ok' ? undefined : await fix(check, host, work)
    reports.push(fixed === undefined ? found : { ...(await run(check, host)), fixed })
  }
  return { checks: reports }
}

async function fix(check: Check, host: Host, work: FixHost): Promise<string | undefined> {
  try {
    return await check.fix?.(host, work)
  } catch (error) {
    return `could not be fixed: ${(error as Error).message}`
  }
}

async function run({ name, look }: Check, host: Host): Promise<DoctorCheck> {
  try {
    return { name, ...(await look(host)) }
  } catch (error) {
    const hint = isProblem(error) ? error.hint : undefined
    return { name, verdict: 'failed', found: (error as Error).message, ...(hint === undefined ? {} : { hint }) }
  }
}
