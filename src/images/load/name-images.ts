import { basename } from 'node:path'
import { isProblem, Problem } from '../../base/index.ts'
import { isTag, type Platform, parseReference, runsOn } from '../../formats/index.ts'
import { fullTag, parseTag } from '../find-image.ts'
import type { LoadRoot } from './load-source.ts'

export interface NameImages {
  readonly roots: readonly LoadRoot[]
  /** The name that the caller wants. */
  readonly tag?: string | undefined
  readonly platform: Platform
  /** Where the images come from, when that has a name: bare tags belong to it, as in `umoci --image debian:12`. */
  readonly path?: string | undefined
}

export interface NamedRoot extends LoadRoot {
  /** In full; at least one. */
  readonly tags: readonly string[]
}

/**
 * Settles what each image of a source will be called: what the caller says, else what the source says.
 *
 * A name that is a tag alone (`12`, as the image specification has it and umoci writes) is completed with the name of the file or
 * directory: `12` in `/images/debian.tar` is `debian:12`.
 * @throws Problem INVALID_REQUEST when an image would have no name, or one name is wanted for several images
 */
export function nameImages({ roots, tag, path, platform }: NameImages): NamedRoot[] {
  if (roots.length === 0) throw new Problem('IMAGE_INVALID', 'there is no image in it')
  if (tag !== undefined) return [nameOnly(roots, parseTag(tag))]
  const repository = path === undefined ? undefined : repositoryOf(path)
  const named = roots.map((root) => ({ ...root, tags: tagsOf(root, repository) }))
  return withoutRivals(named, platform)
}

/** Several members of a layout may have one name, one for each platform: this host's gets it, or else the first. */
function withoutRivals(roots: readonly NamedRoot[], platform: Platform): NamedRoot[] {
  const runs = ({ descriptor }: NamedRoot) => descriptor.platform === undefined || runsOn(descriptor.platform, platform)
  const owners = new Map<string, NamedRoot>()
  for (const root of [...roots.filter(runs), ...roots.filter((root) => !runs(root))]) {
    for (const tag of root.tags) if (!owners.has(tag)) owners.set(tag, root)
  }
  return roots
    .map((root) => ({ ...root, tags: root.tags.filter((tag) => owners.get(tag) === root) }))
    .filter(({ tags }) => tags.length > 0)
}

function nameOnly(roots: readonly LoadRoot[], tag: string): NamedRoot {
  const [root, ...others] = roots
  if (root !== undefined && others.length === 0) return { ...root, tags: [tag] }
  const names = roots.map(({ names: [name], descriptor: { digest } }) => name ?? digest)
  throw new Problem('INVALID_REQUEST', `there are ${roots.length} images in it (${names.join(', ')}), and one --tag`, {
    hint: 'leave --tag out to load them all under their own names',
  })
}

function tagsOf({ names, descriptor }: LoadRoot, repository: string | undefined): string[] {
  if (names.length === 0) throw nameless(`the archive does not say what image ${descriptor.digest} is called`)
  return [...new Set(names.map((name) => completed(name, repository)))].sort()
}

function completed(name: string, repository: string | undefined): string {
  if (/[:/@]/.test(name)) return fullReference(name)
  if (!isTag(name)) throw nameless(`the archive calls its image ${JSON.stringify(name)}, which is no reference`)
  if (repository !== undefined) return `${repository}:${name}`
  throw nameless(`the archive calls its image ${JSON.stringify(name)}, which is only a tag`, `NAME:${name}`)
}

function fullReference(name: string): string {
  try {
    const { digest } = parseReference(name)
    if (digest === undefined) return fullTag(name)
  } catch (error) {
    if (!isProblem(error)) throw error
  }
  throw nameless(`the archive calls its image ${JSON.stringify(name.slice(0, 200))}, which is no reference`)
}

function nameless(message: string, example = 'NAME:TAG'): Problem {
  return new Problem('INVALID_REQUEST', message, {
    hint: `say what to call it: cowshed image load FILE --tag ${example}`,
  })
}

/** `debian` of `/images/Debian.oci.tar.gz`; undefined when nothing of it can be the name of an image. */
function repositoryOf(path: string): string | undefined {
  const name = basename(path)
    .replace(/(?:\.(?:tar|tgz|gz|zst|oci|docker))+$/i, '')
    .toLowerCase()
  return /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/.test(name) ? name : undefined
}
