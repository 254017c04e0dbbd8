import type { z } from 'zod'
import { openApi } from './open-api.ts'
import { allRoutes, type Route } from './routes.ts'

/** docs/http-api.md: written from the table of routes, as the daemon and OpenAPI are. */
export function apiReference(): string {
  const nouns = new Map<string, Route[]>()
  for (const route of allRoutes()) {
    const noun = route.path.split('/')[2] ?? ''
    nouns.set(noun, [...(nouns.get(noun) ?? []), route])
  }
  return `${introduction}${[...nouns.values()].flat().map(section).join('')}`
}

const introduction = `# The HTTP API

Written from the table of routes by \`src/contract/contract.test.ts\`; \`npx vitest run src/contract -u\` writes it anew. The daemon serves the same as OpenAPI
3.1, with every schema, at \`/api/openapi.json\`.

The daemon listens on the unix socket \`daemon.sock\` in its data directory, mode 0600, and over the network when it was told to and has a token
([fleet.md](fleet.md)).

    curl --unix-socket /var/lib/cowshed/daemon.sock http://localhost/api/sheds
    curl --cacert ca.pem -H "Authorization: Bearer $COWSHED_TOKEN" https://build.example:7443/api/sheds

Bytes are integers, times are ISO 8601 in UTC. Requests and replies are JSON unless a route says otherwise; a field that a request does not know is an
error.

## Errors

Every error is answered as \`{"error": {"code", "message", "hint"?, "data"?}}\` with the status of its code: see [errors.md](errors.md). Any route may answer
\`INVALID_REQUEST\`, which names the field that is wrong, \`IO_FAILED\` and \`INTERNAL\`.

## Tokens

Over the network every request, the one for a WebSocket too, has \`Authorization: Bearer <token>\`. Without one, or with one that the server does not know, the answer is 401
\`UNAUTHORIZED\` with \`WWW-Authenticate: Bearer\`, whatever the path; to a wrong one it comes late, and later with each, and 429 \`TOO_MANY_ATTEMPTS\` at once when too many from one address wait.
Right ones never wait. A token that may only look gets 403 \`FORBIDDEN\` for what is no GET and for WebSockets, and so does any token at a route that is *local*. When a token is revoked, what is under way with it
ends. A head of a request may have 16 KiB and must come within 10 seconds, a JSON body 1 MiB.

## Long work

A route that is marked *progress* answers when the work is done. With \`Accept: text/event-stream\` it answers at once with server-sent events: any number of
\`progress\` (\`{"phase", "item"?, "done", "total"?}\`), then one \`complete\` with the reply, or one \`error\`. A client that goes away aborts the work, and nothing is
left of it.

## Exec and shell

Both are WebSockets. The client's first message is text, an ExecRequest:

    {"argv": ["ls", "-l"], "env": {}, "cwd": "/root", "user": "root", "stdin": true, "tty": {"rows": 24, "cols": 80}}

Only \`argv\` is required; for a shell only \`tty\`. With \`tty\` the program runs on a terminal and its stderr is part of its stdout. After that, binary messages are
streams, their first byte saying which: 0 stdin, 1 stdout, 2 stderr. Text messages are controls:

| from | message | |
|---|---|---|
| client | \`{"type": "stdin_end"}\` | end of file |
| client | \`{"type": "resize", "rows": 50, "cols": 120}\` | the terminal has another size |
| client | \`{"type": "signal", "signal": "SIGINT"}\` | for the program's process group |
| server | \`{"type": "started", "pid": 123}\` | it runs |
| server | \`{"type": "exit", "code": 0, "signal"?: "SIGKILL"}\` | the last message: code as a shell says it |
| server | \`{"type": "error", "code", "message", "hint"?}\` | the last message: it did not run, or was lost |

Neither side sends faster than the other reads. When the client goes away the program is hung up on (SIGHUP).

## Events

\`GET /api/events\` answers with a list; with \`Accept: text/event-stream\` it sends these events and then each as it happens, \`id\` its \`seq\`. A client that comes back
sends \`Last-Event-ID\` and misses nothing.

## Metrics

\`GET /api/metrics\` is for Prometheus, in its text format. Over the network a token that may only look is enough. What there is: [lazy.md](lazy.md).

## Routes
`

function section(route: Route): string {
  const facts = [
    ...part('query', route.query),
    ...(route.body === undefined ? [] : [`body: ${schemaName(route, 'requestBody')}`]),
    ...(route.upload === undefined ? [] : [`body: bytes of type \`${route.upload}\``]),
    `answer: ${answerOf(route)}${route.kind === 'work' ? ', *progress*' : ''}`,
    ...(route.codes.length === 0
      ? []
      : [`errors: ${[...new Set(route.codes)].map((code) => `\`${code}\``).join(', ')}`]),
  ]
  return `
### ${route.method} ${route.path.replace(/:(\w+)/g, '{$1}')}

${route.summary}.${route.local === true ? ' *Local*.' : ''}

${facts.map((fact) => `- ${fact}`).join('\n')}
`
}

interface Operation {
  readonly parameters: { name: string; in: string; required: boolean }[]
  readonly requestBody?: { content: Record<string, { schema: { $ref?: string } }> }
  readonly responses: Record<string, { content?: Record<string, { schema: { $ref?: string } }> }>
}

function operationOf({ path, method }: Route): Operation {
  const { paths } = openApi('') as { paths: Record<string, Record<string, Operation>> }
  const operation = paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
  if (operation === undefined) throw new Error(`${method} ${path} is not described`)
  return operation
}

function part(name: string, schema: z.ZodType | undefined): string[] {
  const route = allRoutes().find(({ query }) => query === schema)
  if (schema === undefined || route === undefined) return []
  const parameters = operationOf(route).parameters.filter((parameter) => parameter.in === 'query')
  const listed = parameters.map(({ name, required }) => `\`${name}\`${required ? '' : '?'}`)
  return [`${name}: ${listed.join(', ')}`]
}

function schemaName(route: Route, where: 'requestBody'): string {
  const schema = operationOf(route)[where]?.content['application/json']?.schema
  return `\`${schema?.$ref?.split('/').at(-1) ?? 'JSON'}\``
}

function answerOf(route: Route): string {
  if (route.kind === 'socket') return 'a WebSocket'
  if (route.kind === 'download') return `bytes of type \`${route.download}\``
  if (route.reply === undefined) return '204'
  const schema = operationOf(route).responses['200']?.content?.['application/json']?.schema
  return `\`${schema?.$ref?.split('/').at(-1) ?? 'JSON'}\``
}
