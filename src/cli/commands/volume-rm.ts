import { defineRemove } from '../define-remove.ts'

export const volumeRm = defineRemove({
  things: 'volumes',
  forceToo: 'remove what is left of broken ones too',
  question: (names, areMany) => `${names} and everything on ${areMany ? 'them' : 'it'} will be removed. Proceed?`,
  remove: (cli, volume, query) => cli.api.call('removeVolume', { params: { volume }, query }),
})
