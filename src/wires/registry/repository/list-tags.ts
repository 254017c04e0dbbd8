import { z } from 'zod'
import { Problem } from '../../../base/index.ts'
import { isTag } from '../../../formats/index.ts'
import { parseNextLink } from '../headers/parse-next-link.ts'
import { resolveTarget } from '../http/follow.ts'
import { type HttpResponse, headerOf } from '../http/http-message.ts'
import { readBounded } from '../http/read-bounded.ts'
import type { RequestOptions } from '../registry.ts'
import { pullAccess, type RepositoryContext } from './repository-context.ts'

const pageBytes = 16 * 2 ** 20
const maxPages = 10_000
const Page = z.object({ tags: z.array(z.string()).nullish() })

/** @see Repository.listTags */
export async function* listTags(
  repository: RepositoryContext,
  { signal }: RequestOptions = {},
): AsyncGenerator<string> {
  let target: string | URL | undefined = `${repository.path}/tags/list?n=1000`
  const seen = new Set<string>()
  while (target !== undefined) {
    const page: TagPage = await readPage(repository, target, signal)
    yield* page.tags
    const next = page.next?.href
    if (next !== undefined && (seen.has(next) || seen.size >= maxPages)) throw endless(repository)
    if (next !== undefined) seen.add(next)
    target = page.next
  }
}

interface TagPage {
  /** What cannot be a tag is left out: nobody could ask for it, and a terminal may see it. */
  readonly tags: readonly string[]
  readonly next: URL | undefined
}

async function readPage(
  repository: RepositoryContext,
  target: string | URL,
  signal: AbortSignal | undefined,
): Promise<TagPage> {
  const { endpoint } = repository
  const request = {
    method: 'GET',
    target,
    headers: { accept: 'application/json', 'accept-encoding': 'identity' },
    access: pullAccess(repository),
    expect: [200],
    doing: `list the tags of ${repository.title}`,
    signal,
  } as const
  return await endpoint.ask(request, async (response) => {
    const body = await readBounded(endpoint.transport, response, {
      maxBytes: pageBytes,
      noun: 'the list of tags',
      signal,
    })
    return { tags: parseTags(body, repository), next: nextPage(repository, response) }
  })
}

function parseTags(body: Buffer, repository: RepositoryContext): string[] {
  try {
    return (Page.parse(JSON.parse(body.toString('utf8'))).tags ?? []).filter(isTag)
  } catch (error) {
    throw new Problem('REGISTRY_FAILED', `the list of tags of ${repository.title} is not one`, { cause: error })
  }
}

/** Only the registry itself has more of its tags. @throws Problem REGISTRY_FAILED */
function nextPage({ endpoint, title }: RepositoryContext, response: HttpResponse): URL | undefined {
  const link = parseNextLink(headerOf(response, 'link') ?? '')
  if (link === undefined) return undefined
  const { home } = endpoint.transport
  const url = resolveTarget(home, response.url, link)
  if (url.origin === home.origin) return url
  throw new Problem(
    'REGISTRY_FAILED',
    `the list of tags of ${title} goes on at another host (${url.host}), which is not followed`,
  )
}

function endless({ title }: RepositoryContext): Problem {
  return new Problem('REGISTRY_FAILED', `the list of tags of ${title} has no end`)
}
