import { newId, Problem } from '../../base/index.ts'
import type { CreateTokenReply, TokenSummary } from '../../contract/index.ts'
import { readTokens, removeToken, type TokenLayout, type TokenRecord, writeToken } from './token-records.ts'
import { hashOfSecret, idOfSecret, isSecretOf, newSecret } from './token-secret.ts'

/** Who is let in, for as long as its token is not revoked. */
export interface Caller {
  readonly name: string
  readonly readOnly: boolean
  /** Calls back when the token is revoked. @returns how to stop listening */
  onRevoked(listener: () => void): () => void
}

export interface NewToken {
  readonly name?: string | undefined
  readonly readOnly: boolean
}

/** Who may talk to a daemon over the network. One record for each token; what is kept of a token itself is its hash. */
export interface Tokens {
  readonly count: number
  list(): TokenSummary[]
  /** @throws Problem TOKEN_ALREADY_EXISTS, NO_SPACE, IO_FAILED */
  create(token: NewToken): Promise<CreateTokenReply>
  /** From when this resolves on nobody is let in with it, after a crash too; what is under way with it is told. @throws Problem TOKEN_NOT_FOUND */
  revoke(nameOrId: string): Promise<TokenSummary>
  /** Whose token this is; undefined when it is nobody's. Costs one hash, and now and then a record. */
  check(text: string): Caller | undefined
  /** Hears of each token that comes or goes, which is made or revoked when it is done. */
  onChange(listener: () => Promise<void>): void
  /** Writes down what was used last. */
  close(): Promise<void>
}

interface Held {
  record: TokenRecord
  readonly caller: Caller
  readonly revoked: Set<() => void>
  usedAt: number
  savedAt: number
}

/** Uses closer together than this are one. */
const sampleMs = 60_000
/** How often the last use of a token that is used all the time is written down. */
const saveMs = 10 * 60_000

export interface OpenTokens {
  readonly layout: TokenLayout
  /** Hears of records that cannot be read: whoever has such a token is not let in. */
  readonly onBroken?: (problem: Problem) => void
}

/** Reads every token. What a crash left half written goes. @throws Problem PERMISSION_DENIED, IO_FAILED */
export async function openTokens({ layout, onBroken = () => {} }: OpenTokens): Promise<Tokens> {
  const tokens = new Map<string, Held>()
  for (const record of await readTokens(layout, onBroken)) tokens.set(record.id, held(record))
  const listeners = new Set<() => Promise<void>>()
  const inTurn = oneAtATime()
  const changed = () => Promise.all([...listeners].map((listener) => listener()))

  /** Within its turn: a token that was revoked meanwhile is not written again. */
  const save = (id: string) =>
    inTurn(async () => {
      const token = tokens.get(id)
      if (token === undefined || token.usedAt <= token.savedAt) return
      token.record = { ...token.record, last_used_at: new Date(token.usedAt).toISOString() }
      token.savedAt = token.usedAt
      // When something was used last is not worth failing what it is used for.
      await writeToken(layout, token.record).catch(() => {})
    })

  return {
    get count() {
      return tokens.size
    },
    list: () => [...tokens.values()].map(summary).sort((a, b) => a.name.localeCompare(b.name)),
    create: ({ name, readOnly }) =>
      inTurn(async () => {
        const id = newId()
        const text = newSecret(id)
        const record = {
          id,
          name: name ?? id,
          read_only: readOnly,
          sha256: hashOfSecret(text),
          created_at: new Date().toISOString(),
        }
        requireNew(tokens.values(), record.name)
        await writeToken(layout, record)
        const token = held(record)
        tokens.set(id, token)
        await changed()
        return { ...summary(token), token: text }
      }),
    revoke: (nameOrId) =>
      inTurn(async () => {
        const token = find(tokens, nameOrId)
        await removeToken(layout, token.record.id)
        tokens.delete(token.record.id)
        for (const tell of token.revoked) tell()
        await changed()
        return summary(token)
      }),
    check(text) {
      const token = tokens.get(idOfSecret(text) ?? '')
      if (token === undefined || !isSecretOf(text, token.record.sha256)) return undefined
      const now = Date.now()
      if (now - token.usedAt >= sampleMs) token.usedAt = now
      if (token.usedAt - token.savedAt >= saveMs) void save(token.record.id)
      return token.caller
    },
    onChange: (listener) => void listeners.add(listener),
    async close() {
      listeners.clear()
      await Promise.all([...tokens.keys()].map(save))
    },
  }
}

function held(record: TokenRecord): Held {
  const revoked = new Set<() => void>()
  const usedAt = record.last_used_at === undefined ? 0 : Date.parse(record.last_used_at)
  const caller: Caller = {
    name: record.name,
    readOnly: record.read_only,
    onRevoked(listener) {
      revoked.add(listener)
      return () => revoked.delete(listener)
    },
  }
  return { record, caller, revoked, usedAt, savedAt: usedAt }
}

function summary({ record: { id, name, read_only, created_at }, usedAt }: Held): TokenSummary {
  const used = usedAt === 0 ? {} : { last_used_at: new Date(usedAt).toISOString() }
  return { id, name, read_only, created_at, ...used }
}

function requireNew(tokens: Iterable<Held>, name: string): void {
  for (const { record } of tokens) {
    if (record.name !== name && record.id !== name) continue
    throw new Problem('TOKEN_ALREADY_EXISTS', `there is a token ${name} already`, {
      hint: `choose another name, or take that one back: cowshed token revoke ${name}`,
    })
  }
}

function find(tokens: ReadonlyMap<string, Held>, nameOrId: string): Held {
  const token = [...tokens.values()].find(({ record }) => record.name === nameOrId) ?? tokens.get(nameOrId)
  if (token !== undefined) return token
  throw new Problem('TOKEN_NOT_FOUND', `there is no token ${nameOrId}`, { hint: 'see what there is: cowshed token ls' })
}

/** One after another, whether those before succeed or not. */
function oneAtATime() {
  let last: Promise<unknown> = Promise.resolve()
  return <T>(work: () => Promise<T>): Promise<T> => {
    const turn = last.then(work, work)
    last = turn.catch(() => {})
    return turn
  }
}
