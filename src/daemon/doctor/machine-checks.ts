import { isProblem } from '../../base/index.ts'
import { currentKernel, probeAcceleration } from '../../machines/index.ts'
import type { Check } from './run-doctor.ts'

export const driverCheck: Check = {
  name: 'hypervisor',
  async look({ driver }) {
    const { version } = await driver.probe()
    return { verdict: 'ok', found: `${driver.name} ${version}` }
  },
}

export const kernelCheck: Check = {
  name: 'guest kernel',
  async look({ layout }) {
    const { release, id } = await currentKernel(layout)
    return { verdict: 'ok', found: `${release} (${id})` }
  },
}

export const accelerationCheck: Check = {
  name: 'acceleration',
  async look({ layout, driver }) {
    const kernel = await currentKernel(layout).catch((error: unknown) => {
      if (isProblem(error)) return undefined
      throw error
    })
    if (kernel === undefined)
      return { verdict: 'warning', found: 'not known before there is a guest kernel', hint: 'run: cowshed setup' }
    const { acceleration, reason } = await probeAcceleration(layout, kernel, driver)
    if (acceleration === 'kvm') return { verdict: 'ok', found: reason }
    return {
      verdict: 'warning',
      found: `emulation: ${reason}`,
      hint: 'sheds work, several times slower; give the host a working /dev/kvm',
    }
  },
}
