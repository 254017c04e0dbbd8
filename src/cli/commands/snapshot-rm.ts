import { defineRemove } from '../define-remove.ts'

export const snapshotRm = defineRemove({
  things: 'snapshots',
  forceToo: 'remove what is left of broken ones too',
  question: (names) => `${names} will be removed; sheds made from it stay. Proceed?`,
  remove: (cli, snapshot, query) => cli.api.call('removeSnapshot', { params: { snapshot }, query }),
})
