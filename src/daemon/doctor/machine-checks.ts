import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { errnoCode, isProblem } from '../../base/index.ts'
import { defaultUpperBytes } from '../../contract/index.ts'
import { ensureUpperTemplate } from '../../disks/index.ts'
import { currentKernel, forgetAcceleration, installKernel, probeAcceleration } from '../../machines/index.ts'
import type { Check } from './check.ts'

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
  async fix({ layout, driver, agentPath }, { onProgress }) {
    // Before anything is downloaded: without the driver a kernel is of no use.
    await driver.probe()
    const { files } = await installKernel(layout, { agentPath, ...(onProgress === undefined ? {} : { onProgress }) })
    return `installed ${files.release}`
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
      hint: `sheds work, several times slower; ${await remedy()}`,
    }
  },
  async fix({ layout }) {
    await forgetAcceleration(layout, await currentKernel(layout))
    return 'tried once more'
  },
}

async function remedy(): Promise<string> {
  try {
    await access('/dev/kvm', constants.R_OK | constants.W_OK)
  } catch (error) {
    if (errnoCode(error) === 'EACCES')
      return `let this user open it: sudo usermod -aG kvm ${userInfo().username}; then log in anew and restart the daemon`
  }
  return 'give the host a working /dev/kvm, then: cowshed doctor --fix'
}

export const templateCheck: Check = {
  name: 'upper template',
  async look({ layout }) {
    const path = layout.upperTemplate(defaultUpperBytes)
    const found = await stat(path).catch((error: unknown) => {
      if (errnoCode(error) === 'ENOENT') return undefined
      throw error
    })
    if (found?.size === defaultUpperBytes) return { verdict: 'ok', found: path }
    return { verdict: 'warning', found: 'the first create will make it', hint: 'make it now: cowshed doctor --fix' }
  },
  fix: async ({ layout }) => `made ${await ensureUpperTemplate(layout, defaultUpperBytes)}`,
}
