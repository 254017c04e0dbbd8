import { isProblem, Problem } from '../../base/index.ts'
import type { RouteName } from '../../contract/index.ts'
import { closest } from '../closest.ts'
import type { ApiClient, CallOptions } from './api-client.ts'

/** An API client that, when a shed is not found, says which one may have been meant. */
export function suggestNames(api: ApiClient): ApiClient {
  const suggesting = async <T>(params: object | undefined, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      const name = (params as { name?: unknown } | undefined)?.name
      throw isProblem(error, 'SHED_NOT_FOUND') && typeof name === 'string'
        ? await withSuggestion(api, error, name)
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

async function withSuggestion(api: ApiClient, problem: Problem, name: string): Promise<Problem> {
  const sheds = await api.call('listSheds', {}).then(
    (reply) => reply.sheds,
    () => [],
  )
  const meant = closest(
    name,
    sheds.map((shed) => shed.name),
  )
  const hint = meant === undefined ? 'see what there is: cowshed ls' : `did you mean ${meant}?`
  return new Problem(problem.code, problem.message, { hint, cause: problem })
}
