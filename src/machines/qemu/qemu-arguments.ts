import { Problem } from '../../base/index.ts'
import type { DriveSpec, IoLimits, MachineMemory, MachineSpec } from '../driver.ts'
import { agentPortId } from './guest-watch.ts'
import type { HostArchitecture } from './host-architecture.ts'
import { ramBytes } from './ram-bytes.ts'

/** Descriptors that QEMU has. */
export interface QemuSockets {
  readonly qmp: number
  readonly agent: number
}

export interface QemuArguments {
  readonly spec: MachineSpec
  readonly architecture: HostArchitecture
  readonly sockets: QemuSockets
  /** Descriptors that QEMU has, for its /dev/fdset. */
  readonly fdSets: readonly number[]
  /** For a guest under software emulation on x86: tscArguments. */
  readonly clockArguments: readonly string[]
}

/** A saved state names the RAM that belongs to it. */
const ramId = 'ram'

/** The monitor's name of the network, for forwards. */
export const netdevId = 'net0'

/**
 * QEMU's command line for a machine.
 *
 * @throws Problem INVALID_REQUEST when a kernel argument would become two
 * @see qemu-system-x86_64(1); QEMU, docs/system/i386/microvm.rst
 */
export function qemuArguments(given: QemuArguments): string[] {
  const { spec, architecture } = given
  return [
    ...['-name', `guest=${quote(spec.name)}`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    // QEMU needs none of this: whoever breaks out of the guest finds no way to start programs or to gain rights.
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...given.fdSets.flatMap((fd) => ['-add-fd', `fd=${fd},set=${fd}`]),
    ...['-machine', `${architecture.machine}${spec.memory === undefined ? '' : `,memory-backend=${ramId}`}`],
    ...acceleration(spec.acceleration),
    ...['-smp', `${spec.cpus}`, '-m', `size=${ramBytes(spec) / 1024}k`],
    ...(spec.memory === undefined ? [] : memoryFile(spec.memory, ramBytes(spec))),
    // The capabilities of a migration have to be set first, so where it comes from is told on the monitor.
    ...(spec.restore === undefined ? [] : ['-S', '-incoming', 'defer']),
    ...['-kernel', spec.kernel.vmlinuz, '-initrd', spec.kernel.initrd, '-append', kernelCommandLine(given)],
    ...(spec.io === undefined ? [] : throttleGroup(spec.io)),
    ...spec.drives.flatMap((each) => drive(each, spec.io !== undefined)),
    ...['-object', 'rng-builtin,id=rng0', '-device', 'virtio-rng-device,rng=rng0'],
    ...agentPort(given.sockets.agent),
    ...network(spec.network),
    ...architecture.devices.flatMap((device) => ['-device', device]),
    // append=on is O_APPEND: the log can be truncated in place while QEMU writes to it.
    ...['-chardev', `file,id=console,path=${quote(spec.consolePath)},append=on`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=qmp,fd=${given.sockets.qmp},server=on,wait=off`, '-mon', 'chardev=qmp,mode=control'],
  ]
}

function memoryFile({ path, mapping }: MachineMemory, size: number): string[] {
  const backend = { 'qom-type': 'memory-backend-file', id: ramId, size, 'mem-path': path, share: mapping === 'shared' }
  return ['-object', JSON.stringify(backend)]
}

function acceleration(kind: MachineSpec['acceleration']): string[] {
  if (kind === 'kvm') return ['-accel', 'kvm', '-cpu', 'host']
  // `max` boots as fast as the default model, and programs built for x86-64-v2 or v3 run on it. The translation cache is 1 GiB by
  // default, for each VM.
  return ['-accel', 'tcg,thread=multi,tb-size=256', '-cpu', 'max']
}

function kernelCommandLine({ spec, architecture, clockArguments }: QemuArguments): string {
  const words = [
    `console=${architecture.console}`,
    ...architecture.kernelArguments,
    // A panic restarts at once, which -no-reboot makes an exit.
    'panic=-1',
    'quiet',
    // The self-tests of the kernel's ciphers take a sixth of the boot under emulation, and test the same code each time.
    'cryptomgr.notests',
    ...clockArguments,
    `cowshed.key=${spec.agentKey}`,
    ...spec.kernelArguments,
  ]
  for (const word of words) {
    if (!/^[!-~]+$/.test(word)) {
      throw new Problem('INVALID_REQUEST', `not one word of a kernel's command line: ${JSON.stringify(word)}`)
    }
  }
  return words.join(' ')
}

/** The drives of a machine wait for each other: the limits are those of all together. */
const throttleId = 'io'

/** @see QEMU, docs/throttle.txt: an idle tenth of a second is the most that can be made up for */
function throttleGroup({ readBytesPerSecond, writeBytesPerSecond, operationsPerSecond }: IoLimits): string[] {
  const limits = {
    'bps-read': readBytesPerSecond,
    'bps-write': writeBytesPerSecond,
    'iops-total': operationsPerSecond,
  }
  return ['-object', JSON.stringify({ 'qom-type': 'throttle-group', id: throttleId, limits })]
}

/** QEMU locks the images itself, so that no two machines ever write one upper. A write that the host refuses is an error to the guest: it never stops. */
function drive(spec: DriveSpec, isThrottled: boolean): string[] {
  const { id, readOnly } = spec
  const discard = readOnly ? 'ignore' : 'unmap'
  const common = { 'read-only': readOnly, discard }
  const raw = { driver: 'raw', ...common, file: source(spec, discard) }
  const node = isThrottled ? { driver: 'throttle', 'throttle-group': throttleId, ...common, file: raw } : raw
  const device = `virtio-blk-device,drive=${driveNode(id)},serial=${id},werror=report,rerror=report`
  return ['-blockdev', JSON.stringify({ 'node-name': driveNode(id), ...node }), '-device', device]
}

/** How long the guest's reads wait for a server that has gone away, in seconds: whoever started it starts it again meanwhile. */
const reconnectSeconds = 30

function source({ path, readOnly, kind }: DriveSpec, discard: string): object {
  if (kind !== 'nbd') return { driver: 'file', filename: path, locking: 'on', discard }
  const server = { type: 'unix', path }
  return { driver: 'nbd', server, 'reconnect-delay': reconnectSeconds, 'read-only': readOnly, discard }
}

/** What the monitor calls a drive. */
export function driveNode(id: string): string {
  return `disk-${id}`
}

/** Port 0 is kept for a console by the virtio specification, so the agent's is 1, and two are enough. */
function agentPort(socket: number): string[] {
  return [
    ...['-chardev', `socket,id=agent,fd=${socket},server=on,wait=off`],
    ...['-device', 'virtio-serial-device,max_ports=2'],
    ...['-device', `virtserialport,id=${agentPortId},chardev=agent,nr=1,name=cowshed.agent`],
  ]
}

function network(kind: MachineSpec['network']): string[] {
  if (kind === 'none') return []
  return ['-netdev', `user,id=${netdevId},ipv6=off`, '-device', `virtio-net-device,netdev=${netdevId}`]
}

/** A value among QEMU's comma-separated options. */
function quote(value: string): string {
  return value.replaceAll(',', ',,')
}
