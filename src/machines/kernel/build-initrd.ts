import { writeNewc } from '../../formats/index.ts'
import type { GuestModule } from './resolve-modules.ts'

export interface InitrdParts {
  /** The guest agent, which is /init too. */
  readonly agent: Buffer
  /** In the order in which they are to be loaded. */
  readonly modules: readonly GuestModule[]
}

/** Raise it with any change to the bytes of an initrd: it is part of the identity of a guest kernel. */
export const initrdVersion = 1

/**
 * The guest's initrd: /init, /modules/NN-name.ko and /modules/order, nothing else. The same parts give the same bytes. It is not
 * compressed: at this size nothing is gained by it (docs/decisions/0002-emulated-clock.md).
 *
 * @see Linux, Documentation/driver-api/early-userspace/buffer-format.rst
 */
export function buildInitrd({ agent, modules }: InitrdParts): Buffer {
  const width = String(modules.length).length
  const files = modules.map(({ name, bytes }, index) => {
    return { path: `${String(index + 1).padStart(width, '0')}-${name}.ko`, data: bytes }
  })
  return writeNewc([
    // The kernel opens it for /init before anything could make device nodes.
    { path: 'dev', mode: 0o040755 },
    { path: 'dev/console', mode: 0o020600, major: 5, minor: 1 },
    { path: 'init', mode: 0o100755, data: agent },
    { path: 'modules', mode: 0o040755 },
    { path: 'modules/order', mode: 0o100644, data: Buffer.from(files.map(({ path }) => `${path}\n`).join('')) },
    ...files.map(({ path, data }) => ({ path: `modules/${path}`, mode: 0o100644, data })),
  ])
}
