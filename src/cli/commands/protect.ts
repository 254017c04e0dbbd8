import { defineProtect } from '../define-protect.ts'

export const protect = defineProtect({
  things: 'sheds',
  protect: (cli, name) => cli.api.call('protectShed', { params: { name } }),
})

export const unprotect = defineProtect({
  things: 'sheds',
  protect: (cli, name) => cli.api.call('unprotectShed', { params: { name } }),
})
