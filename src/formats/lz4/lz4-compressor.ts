import { lastLiterals, matchFreeEnd, maxOffset, minMatch, tokenMax } from './block-rules.ts'

export interface Compressed {
  /** Bytes of the input that the block holds. */
  readonly read: number
  /** Bytes of the block. */
  readonly written: number
}

/** After so many misses the search takes longer steps, as the reference does. */
const skipTrigger = 6
/** Positions are kept as numbers that only grow, so that the table need not be cleared for each block. */
const lastStamp = 2 ** 30
/** 0x9e3779b1 as the signed number that Math.imul takes without converting. */
const hashFactor = -1640531535
/** A call of set() costs more than copying the few bytes that most runs have. */
const shortRun = 64

/**
 * Compresses one block after another, each on its own. It keeps a table for speed; no block depends on what came before it.
 *
 * Other than most compressors it fills an output of a given size with as much of the input as goes in. What it finds is part of the bytes of
 * lowers: a change needs a new writerVersion.
 */
export class Lz4Compressor {
  readonly #table: Int32Array
  readonly #shift: number
  #base = 0
  readonly #input = new Words()
  readonly #output = new Words()

  /** @param hashBits 2^hashBits positions are remembered. Part of what decides the bytes. */
  constructor(hashBits: number) {
    this.#table = new Int32Array(2 ** hashBits)
    this.#shift = 32 - hashBits
  }

  /**
   * Fills `out` with a block that holds a beginning of `input` from `start` to `end`: all of it when there is room. Matches never refer to anything
   * before `start`. One long function without objects and calls: three times as fast as one that reads better.
   *
   * @param out at least 16 bytes
   */
  compress(input: Uint8Array, start: number, end: number, out: Uint8Array): Compressed {
    const words = this.#input.of(input)
    const outWords = this.#output.of(out)
    const base = this.#stampBefore(end - start) - start
    const table = this.#table
    const shift = this.#shift
    const limit = out.length
    const lastMatch = end - matchFreeEnd
    const matchEnd = end - lastLiterals
    let anchor = start
    let at = start
    let written = 0

    search: while (at <= lastMatch) {
      // No more literals than this go in, so a match behind them is of no use.
      const lastUseful = Math.min(lastMatch, anchor + limit - written)
      let misses = 1 << skipTrigger
      let from = 0
      for (;;) {
        if (at > lastUseful) break search
        const word = words.getInt32(at, true)
        const slot = Math.imul(word, hashFactor) >>> shift
        from = (table[slot] as number) - base
        table[slot] = at + base
        if (from >= start && at - from <= maxOffset && words.getInt32(from, true) === word) break
        at += misses++ >> skipTrigger
      }
      while (at > anchor && from > start && input[at - 1] === input[from - 1]) {
        at--
        from--
      }
      let matched = at + minMatch
      const offset = at - from
      // Four bytes at a time; where they differ, the lowest bit that does says how many are the same.
      for (;;) {
        if (matched + 4 > matchEnd) {
          while (matched < matchEnd && input[matched] === input[matched - offset]) matched++
          break
        }
        const difference = words.getInt32(matched, true) ^ words.getInt32(matched - offset, true)
        if (difference !== 0) {
          matched += (31 - Math.clz32(difference & -difference)) >> 3
          break
        }
        matched += 4
      }

      const literals = at - anchor
      // Behind the match there must be room for the block's last literals: a token and 12 of them, whose number fits the token.
      const room = limit - written - 3 - extraBytes(literals) - literals - 1 - matchFreeEnd
      if (room < 0) break
      const longest = minMatch + tokenMax - 1 + 255 * room
      const isCut = matched - at > longest
      const more = (isCut ? longest : matched - at) - minMatch

      out[written++] = (literals < tokenMax ? literals << 4 : tokenMax << 4) | (more < tokenMax ? more : tokenMax)
      if (literals >= tokenMax) written = writeExtra(out, written, literals - tokenMax)
      if (literals > shortRun) {
        out.set(input.subarray(anchor, at), written)
      } else {
        // Up to three bytes too many, which what follows writes over.
        for (let i = 0; i < literals; i += 4) outWords.setInt32(written + i, words.getInt32(anchor + i, true), true)
      }
      written += literals
      out[written++] = offset & 0xff
      out[written++] = offset >> 8
      if (more >= tokenMax) written = writeExtra(out, written, more - tokenMax)

      at += more + minMatch
      anchor = at
      if (isCut) break
      if (at <= lastMatch) table[Math.imul(words.getInt32(at - 2, true), hashFactor) >>> shift] = at - 2 + base
    }

    const literals = Math.min(end - anchor, mostLiterals(limit - written))
    out[written++] = Math.min(literals, tokenMax) << 4
    if (literals >= tokenMax) written = writeExtra(out, written, literals - tokenMax)
    out.set(input.subarray(anchor, anchor + literals), written)
    return { read: anchor + literals - start, written: written + literals }
  }

  /** Reserves stamps for a block: what the table has from before is below them, and so belongs to no position of it. */
  #stampBefore(size: number): number {
    if (this.#base + size >= lastStamp) {
      this.#table.fill(0)
      this.#base = 0
    }
    const first = this.#base + 1
    this.#base += size
    return first
  }
}

/** Bytes as words. Made once for a buffer that is used again and again. */
class Words {
  #bytes: Uint8Array = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)

  of(bytes: Uint8Array): DataView {
    if (this.#bytes !== bytes) {
      this.#bytes = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    }
    return this.#view
  }
}

/** Bytes behind the token that a length takes. */
function extraBytes(length: number): number {
  return length < tokenMax ? 0 : (((length - tokenMax) / 255) | 0) + 1
}

/** The most literals that fit into so many bytes with their token. */
function mostLiterals(bytes: number): number {
  let literals = bytes - 1
  while (1 + extraBytes(literals) + literals > bytes) literals--
  return literals
}

function writeExtra(out: Uint8Array, start: number, extra: number): number {
  let at = start
  let rest = extra
  for (; rest >= 255; rest -= 255) out[at++] = 255
  out[at++] = rest
  return at
}
