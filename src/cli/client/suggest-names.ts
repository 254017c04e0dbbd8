import { isProblem, Problem } from '../../base/index.ts'
import type { RouteName } from '../../contract/index.ts'
import { closest } from '../closest.ts'
import type { ApiClient, CallOptions } from './api-client.ts'

/** An API client that, when a shed is not found, says which one may have been meant, or how to see them: `ls`. */
export function suggestNames(api: ApiClient, ls = 'cowshed ls'): ApiClient {
  const suggesting = async <T>(params: object | undefined, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      const name = (params as { name?: unknown } | undefined)?.name
      throw isProblem(error, 'SHED_NOT_FOUND') && typeof name === 'string'
        ? await withSuggestion({ api, ls }, error, name)
        : error
    }
  }
  return {
    ...api,
    call: <N extends RouteName>(route: N, options: CallOptions<N>) =>
      suggesting(options.params, api.call(route, options)),
    download: <N extends RouteName>(route: N, options: CallOptions<N>) =>
      suggesting(options.params, api.download(route, options)),
  }
}

interface Sheds {
  readonly api: ApiClient
  readonly ls: string
}

async function withSuggestion({ api, ls }: Sheds, problem: Problem, name: string): Promise<Problem> {
  const sheds = await api.call('listSheds', {}).then(
    (reply) => reply.sheds,
    () => [],
  )
  const meant = closest(
    name,
    sheds.map((shed) => shed.name),
  )
  const hint = meant === undefined ? `see what there is: ${ls}` : `did you mean ${meant}?`
  return new Problem(problem.code, problem.message, { hint, cause: problem })
}
