import { expect, test } from 'vitest'
import { classifyExit, type ExitEvidence } from './classify-exit.ts'

const nothing: ExitEvidence = {
  killedByUs: false,
  shutdownReason: undefined,
  process: undefined,
  consoleTail: '',
  logTail: '',
}
const panicText = '[ 1.0] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0\r\n[ 1.1] CPU: 0\r\n'

test.each<[string, Partial<ExitEvidence>, object]>([
  ['a shutdown', { shutdownReason: 'guest-shutdown', process: { code: 0 } }, { kind: 'powerdown' }],
  ['a reboot', { shutdownReason: 'guest-reset', consoleTail: 'reboot: Restarting system' }, { kind: 'reset' }],
  [
    'a panic that the device told',
    { shutdownReason: 'guest-panic', consoleTail: panicText },
    { kind: 'panic', reason: "the guest's kernel panicked: Attempted to kill init! exitcode=0x0" },
  ],
  ['a panic before there was a device', { shutdownReason: 'guest-reset', consoleTail: panicText }, { kind: 'panic' }],
  [
    'a reboot after the words of an older panic',
    { shutdownReason: 'guest-reset', consoleTail: `${panicText}reboot: Restarting system` },
    { kind: 'reset' },
  ],
  [
    'our own kill',
    { killedByUs: true, process: { signal: 'SIGKILL' } },
    { kind: 'killed', reason: 'cowshed killed the VM' },
  ],
  [
    'a guest that was faster than our kill',
    { killedByUs: true, shutdownReason: 'guest-shutdown' },
    { kind: 'powerdown' },
  ],
  ["somebody's kill", { process: { signal: 'SIGKILL' } }, { kind: 'killed', reason: 'QEMU was killed by SIGKILL' }],
  ["somebody's SIGTERM", { shutdownReason: 'host-signal', process: { code: 0 } }, { kind: 'killed' }],
  [
    'a failure of QEMU',
    { process: { code: 1 }, logTail: 'it says why' },
    { kind: 'failed', reason: 'QEMU failed with exit code 1: it says why' },
  ],
  ['a death that nobody saw', {}, { kind: 'killed', reason: 'QEMU died without saying why' }],
])('%s', (_, evidence, expected) => {
  expect(classifyExit({ ...nothing, ...evidence })).toMatchObject(expected)
})
