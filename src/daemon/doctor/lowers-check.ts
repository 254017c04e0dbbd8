import type { Check } from './check.ts'

export const lowersCheck: Check = {
  name: 'lowers',
  async look({ images }) {
    const { there, kept, broken, kind, why } = await images.lowers()
    const [first] = broken
    if (first !== undefined) {
      const others = broken.length === 1 ? '' : `, and ${broken.length - 1} more`
      return {
        verdict: 'warning',
        found: `that of ${first.image} is damaged (${first.complaint})${others}`,
        hint: first.isKept
          ? `it cannot be made again here; bring it again: cowshed image pull ${first.image}`
          : `make it again: cowshed image verify --repair ${first.image}`,
      }
    }
    const form = kind.form === 'parts' ? 'in parts' : 'whole'
    const lost = kept === 0 ? '' : ` (${kept} cannot be made again here: their images are without layers)`
    return { verdict: 'ok', found: `${there} there${lost}; new ones are ${kind.profile} and ${form}: ${why}` }
  },
}
