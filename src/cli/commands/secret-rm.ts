import { defineRemove } from '../define-remove.ts'

export const secretRm = defineRemove({
  things: 'secrets',
  forceToo: 'remove those that sheds are given too',
  question: (names) => `${names} will be removed. Proceed?`,
  remove: (cli, secret, query) => cli.api.call('removeSecret', { params: { secret }, query }),
})
