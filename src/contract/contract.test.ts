import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { problemCodes } from '../base/index.ts'
import { apiReference } from './api-reference.testkit.ts'
import { openApi } from './open-api.ts'
import { allRoutes, routes } from './routes.ts'

describe('OpenAPI', () => {
  const document = openApi('1.2.3')
  const text = JSON.stringify(document)

  test('is the version and the kind of document that it says', () => {
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'cowshed', version: '1.2.3' } })
  })

  test('refers to nothing that is not there', () => {
    const { schemas } = document.components as { schemas: Record<string, unknown> }
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1])
    expect(references.length).toBeGreaterThan(40)
    for (const name of references) expect(schemas, name).toHaveProperty(name as string)
    expect(text).not.toContain('$defs')
  })

  test('has no JSON body or reply without a name', () => {
    for (const route of allRoutes()) {
      if (route.name === 'getOpenApi') continue
      const operation = pathItem(document, route.path)[route.method.toLowerCase()]
      for (const content of jsonContents(operation)) expect(content, route.name).toHaveProperty('$ref')
    }
  })

  test('says every way in which a route can fail, by status', () => {
    const { responses } = pathItem(document, '/api/sheds/:name/start').post as {
      responses: Record<string, { description: string }>
    }
    for (const code of routes.startShed.codes) {
      expect(responses[problemCodes[code].status]?.description).toContain(code)
    }
    expect(responses['400']?.description).toContain('INVALID_REQUEST')
  })

  test('what has a default may be left out of a request, and is in a reply', () => {
    const { schemas } = document.components as { schemas: Record<string, { required: string[] }> }
    expect(schemas.CreateShedRequest?.required).toEqual(['name'])
    expect(schemas.Shed?.required).toContain('env')
  })
})

test('docs/http-api.md says what the routes are', async () => {
  await expect(apiReference()).toMatchFileSnapshot(join(import.meta.dirname, '../../docs/http-api.md'))
})

test('no two routes are at one place, and each path is of the API', () => {
  const places = allRoutes().map(({ method, path }) => `${method} ${path}`)
  expect(new Set(places).size).toBe(places.length)
  for (const { path } of allRoutes()) expect(path).toMatch(/^\/api\//)
})

function pathItem(document: ReturnType<typeof openApi>, path: string): Record<string, unknown> {
  const { paths } = document as { paths: Record<string, Record<string, unknown>> }
  return paths[path.replace(/:(\w+)/g, '{$1}')] ?? {}
}

interface Content {
  readonly content?: Record<string, { schema: unknown }>
}

function jsonContents(operation: unknown): unknown[] {
  const { requestBody, responses } = operation as { requestBody?: Content; responses: Record<string, Content> }
  return [requestBody, ...Object.values(responses)].flatMap((part) => part?.content?.['application/json']?.schema ?? [])
}
