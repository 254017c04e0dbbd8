import { formatSize } from '../../base/index.ts'
import type { Check } from './check.ts'

export const limitsCheck: Check = {
  name: 'limits',
  async look({ hostUse }) {
    const { sheds, max_sheds, memory_bytes, max_memory_bytes } = await hostUse()
    const count = max_sheds === undefined ? `${sheds} running` : `${sheds} of ${max_sheds} running`
    const found = `${count}, with ${formatSize(memory_bytes)} of ${formatSize(max_memory_bytes)} of memory`
    if (memory_bytes <= max_memory_bytes) return { verdict: 'ok', found }
    // They ran before the setting was what it is.
    return { verdict: 'warning', found, hint: 'stop some, or allow more: limits.max_memory in config.toml' }
  },
}
