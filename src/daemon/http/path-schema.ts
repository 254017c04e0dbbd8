import { z } from 'zod'
import { pathParameters, type Route } from '../../contract/index.ts'

/** The schema of the `:parameters` of a route's path. */
export function pathSchema({ path }: Pick<Route, 'path'>): z.ZodType {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1] as keyof typeof pathParameters)
  return z.object(Object.fromEntries(names.map((name) => [name, pathParameters[name]])))
}
