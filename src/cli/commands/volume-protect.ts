import { defineProtect } from '../define-protect.ts'

export const volumeProtect = defineProtect({
  things: 'volumes',
  protect: (cli, volume) => cli.api.call('protectVolume', { params: { volume } }),
})

export const volumeUnprotect = defineProtect({
  things: 'volumes',
  protect: (cli, volume) => cli.api.call('unprotectVolume', { params: { volume } }),
})
