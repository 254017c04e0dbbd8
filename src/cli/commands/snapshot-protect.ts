import { defineProtect } from '../define-protect.ts'

export const snapshotProtect = defineProtect({
  things: 'snapshots',
  protect: (cli, snapshot) => cli.api.call('protectSnapshot', { params: { snapshot } }),
})

export const snapshotUnprotect = defineProtect({
  things: 'snapshots',
  protect: (cli, snapshot) => cli.api.call('unprotectSnapshot', { params: { snapshot } }),
})
