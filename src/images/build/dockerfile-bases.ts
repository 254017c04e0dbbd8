/** An image that a Dockerfile takes something from. */
export interface DockerfileBase {
  /** As the Dockerfile writes it, which is how builders look it up: `debian:$VERSION`. */
  readonly written: string
  /** With the Dockerfile's global arguments filled in. */
  readonly name: string
}

/**
 * The images that a Dockerfile is built from: those of FROM, of COPY --from and of RUN --mount=from. Stages of its own are none. This is for
 * finding out which of them the store has; what the Dockerfile means is for the builder to say.
 *
 * @param buildArgs values that go before the defaults of its ARGs
 * @see https://docs.docker.com/reference/dockerfile/
 */
export function dockerfileBases(text: string, buildArgs: Readonly<Record<string, string>> = {}): DockerfileBase[] {
  const args = new Map<string, string>()
  const stages = new Set<string>()
  const bases = new Map<string, DockerfileBase>()
  const add = (written: string): void => {
    const name = expand(written, args)
    if (isImageName(name) && !stages.has(name.toLowerCase())) bases.set(written, { written, name })
  }
  let inStage = false
  for (const [instruction, ...words] of instructions(text)) {
    if (instruction === 'ARG' && !inStage) {
      for (const [key, value] of words.map(assignment)) args.set(key, buildArgs[key] ?? expand(value, args))
    } else if (instruction === 'FROM') {
      inStage = true
      const [image, as, stage] = words.filter((word) => !word.startsWith('--'))
      if (image !== undefined) add(image)
      if (as?.toUpperCase() === 'AS' && stage !== undefined) stages.add(stage.toLowerCase())
    } else {
      for (const from of words.flatMap(fromOption)) add(from)
    }
  }
  return [...bases.values()]
}

/** Builders take `name=where`, so a name with an equals sign could not be told to them. */
function isImageName(name: string): boolean {
  return name !== 'scratch' && !/^\d*$|=/.test(name)
}

/** The words of each instruction, the first in capitals; comments left out, continued lines joined. */
function instructions(text: string): string[][] {
  const continuation = /^#\s*escape\s*=\s*`/im.test(text) ? '`' : '\\'
  const found: string[][] = []
  let joined = ''
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*#/.test(line)) continue
    const bare = line.trimEnd()
    if (bare.endsWith(continuation)) {
      joined += `${bare.slice(0, -1)} `
      continue
    }
    const [instruction = '', ...words] = `${joined}${bare}`.trim().split(/\s+/)
    if (instruction !== '') found.push([instruction.toUpperCase(), ...words])
    joined = ''
  }
  return found
}

function assignment(word: string): [key: string, value: string] {
  const [key = '', ...rest] = word.split('=')
  return [key, unquoted(rest.join('='))]
}

function unquoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/, '$2')
}

/** `--from=x` of COPY and ADD, `--mount=…,from=x` of RUN. */
function fromOption(word: string): string[] {
  const from = /^--from=(.+)$/.exec(word)?.[1] ?? /^--mount=(?:.*,)?from=([^,]+)/.exec(word)?.[1]
  return from === undefined ? [] : [unquoted(from)]
}

/** `$A`, `${A}`, `${A:-default}`, `${A:+instead}`. */
function expand(text: string, args: ReadonlyMap<string, string>): string {
  return unquoted(text).replace(
    /\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::([-+])([^}]*))?\})/g,
    (_, bare: string | undefined, braced: string | undefined, how: string | undefined, word: string = '') => {
      const value = args.get(bare ?? braced ?? '') ?? ''
      if (how === '-') return value === '' ? word : value
      if (how === '+') return value === '' ? '' : word
      return value
    },
  )
}
