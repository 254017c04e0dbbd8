import { z } from 'zod'
import { pathParameters, type Route } from '../../contract/index.ts'

const schemas = new Map<string, z.ZodType>()

/** The schema of the `:parameters` of a route's path; made once for each, because making one takes far longer than using it. */
export function pathSchema({ path }: Pick<Route, 'path'>): z.ZodType {
  const schema = schemas.get(path) ?? makeSchema(path)
  schemas.set(path, schema)
  return schema
}

function makeSchema(path: string): z.ZodType {
  const names = [...path.matchAll(/:(\w+)/g)].map((match) => match[1] as keyof typeof pathParameters)
  return z.object(Object.fromEntries(names.map((name) => [name, pathParameters[name]])))
}
