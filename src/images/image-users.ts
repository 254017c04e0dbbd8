import type { Digest } from '../base/index.ts'
import type { ImageGraph } from './image-graph.ts'
import type { ImagesContext, ImageUser } from './images-context.ts'

/** The sheds and snapshots that are pinned to one of an image's manifests, sorted by name. */
export function usersOf(graph: ImageGraph, target: Digest, users: readonly ImageUser[]): string[] {
  const digests = new Set<string>([target, ...graph.manifests.map(({ descriptor }) => descriptor.digest)])
  const names = users.filter((user) => digests.has(user.manifestDigest)).map((user) => user.name)
  return [...new Set(names)].sort()
}

/** For messages: `shed web`, `snapshot base`. */
export function whoUses(name: string): string {
  return isShed(name) ? `shed ${name}` : name
}

/** Whether the name of a user is that of a shed. */
export function isShed(name: string): boolean {
  return !name.includes(' ')
}

/** Whether work in flight holds one of an image's manifests. */
export function isHeld({ leases }: Pick<ImagesContext, 'leases'>, graph: ImageGraph, target: Digest): boolean {
  const held = new Set(leases.heldImages())
  return held.has(target) || graph.manifests.some(({ descriptor }) => held.has(descriptor.digest))
}
