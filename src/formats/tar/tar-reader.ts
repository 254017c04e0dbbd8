import { isProblem, Problem, printableBytes } from '../../base/index.ts'
import { ByteFeed } from './byte-feed.ts'
import { type FileContent, readContent, sparseForm } from './file-content.ts'
import { blockSize, bytesField, fields, hasValidChecksum, isAllZero, numberField, typeflagOf } from './header-block.ts'
import { type MemberHeader, memberEntry, memberPath, memberType, storedSizeOf } from './member-entry.ts'
import { isExtension, PendingExtensions } from './pending-extensions.ts'
import type { TarEntry, TarHandler } from './tar-entry.ts'
import { limitExceeded, tarInvalid, tarInvalidAt } from './tar-invalid.ts'
import { defaultTarLimits, type TarLimits } from './tar-limits.ts'

interface Member extends MemberHeader {
  readonly typeflag: string
  /** Bytes of its body in the archive. */
  readonly storedSize: number
}

const maxWarnings = 100

/**
 * Reads an archive that is pushed into it, in chunks of any length, and calls the handler for each member while its bytes are there. It holds
 * one extension header or one sparse map at most, whatever the archive is.
 *
 * It reads v7, ustar, GNU (long names, base-256, sparse), star, and PAX (global headers, xattrs, all sparse forms). After the end it swallows
 * what is left, so that a digest of the whole stream can be made beside it.
 *
 * `write` and `end` throw Problem TAR_INVALID and LIMIT_EXCEEDED, which say where, and whatever the handler throws; the reader is then of no
 * further use.
 */
export class TarReader {
  readonly #handler: TarHandler
  readonly #limits: TarLimits
  readonly #feed: ByteFeed
  readonly #pending: PendingExtensions
  #entries = 0
  #expandedBytes = 0
  #warnings = 0
  /** The member that was begun last, for messages. */
  #where: { readonly path: Buffer; readonly offset: number } | undefined
  #warnedOfTheRest = false
  #ending: 'no' | 'after one zero block' | 'yes' = 'no'
  /** The size of a body that a link or a directory claims to have. Some writers store it and some do not: what follows tells. */
  #doubtfulBody = 0

  constructor(handler: TarHandler, limits: Partial<TarLimits> = {}) {
    this.#handler = handler
    this.#limits = { ...defaultTarLimits, ...limits }
    this.#feed = new ByteFeed(this.#takeBlock)
    this.#pending = new PendingExtensions(this.#limits, (message) => this.#warn(message))
  }

  /** Takes the next bytes. The reader does not keep them; the handler gets views of them. */
  write(chunk: Buffer): void {
    try {
      this.#feed.write(chunk)
    } catch (error) {
      throw this.#located(error)
    }
  }

  /** Says that no more bytes come. An archive without end blocks is whole when its last member is. */
  end(): void {
    if (this.#ending === 'yes') return
    if (this.#feed.isCutOff()) throw this.#located(tarInvalid(`cut off: the archive ends at byte ${this.#feed.offset}`))
    const partial = this.#feed.partialBlock()
    if (isAllZero(partial)) this.#refuseWaitingExtension()
    else if (this.#ending === 'no') throw this.#noHeader()
    else this.#warnOfTheRest()
  }

  readonly #takeBlock = (block: Buffer): void => {
    if (isAllZero(block)) this.#takeZeroBlock()
    else if (this.#ending !== 'no') this.#takeBlockAfterZeroBlock(block)
    else if (hasValidChecksum(block)) this.#takeHeader(block)
    else this.#takeDoubtfulBody()
  }

  #takeZeroBlock(): void {
    this.#refuseWaitingExtension()
    if (this.#ending === 'no') this.#ending = 'after one zero block'
    else this.#takeEnd()
  }

  /** Other readers end here without a word. Junk may be passed over, members may not. */
  #takeBlockAfterZeroBlock(block: Buffer): void {
    if (hasValidChecksum(block) || this.#doubtfulBody > 0) {
      throw tarInvalidAt(this.#feed.offset, 'the archive goes on after a zero block, where other readers end')
    }
    this.#warnOfTheRest()
    this.#takeEnd()
  }

  #takeEnd(): void {
    this.#ending = 'yes'
    this.#feed.rest((piece) => {
      if (!this.#warnedOfTheRest && !isAllZero(piece)) this.#warnOfTheRest()
    })
  }

  #warnOfTheRest(): void {
    this.#warnedOfTheRest = true
    this.#warn('what follows the end of the archive is not read')
  }

  /** PAX lets a hard link carry a body; older writers state the size of one that is not there. No header here means that it is. */
  #takeDoubtfulBody(): void {
    const bytes = this.#doubtfulBody
    if (bytes === 0) throw this.#noHeader()
    this.#doubtfulBody = 0
    this.#warn(`${this.#memberName()} is no file and has a body of ${bytes} bytes, which is not kept`)
    this.#feed.skipBody(bytes, blockSize)
  }

  #noHeader(): Problem {
    const { offset } = this.#feed
    if (this.#where === undefined) return tarInvalidAt(offset, 'this is not a tar archive')
    return tarInvalidAt(offset, `no header follows ${this.#memberName()}: its checksum is wrong, or it is cut off`)
  }

  #refuseWaitingExtension(): void {
    if (!this.#pending.isWaiting) return
    throw tarInvalidAt(this.#feed.offset, 'the archive ends after an extension header whose member is not there')
  }

  #takeHeader(header: Buffer): void {
    this.#doubtfulBody = 0
    const typeflag = typeflagOf(header)
    if (isExtension(typeflag)) this.#takeExtension(header, typeflag)
    else this.#takeMember(header, typeflag)
  }

  #takeExtension(header: Buffer, typeflag: string): void {
    this.#where = { path: bytesField(header, fields.name), offset: this.#feed.offset }
    // Extensions describe members, not each other: the size of one is in its own header.
    const size = numberField(header, fields.size)
    if (size < 0) throw tarInvalid('the size is negative')
    const { maxExtensionBytes } = this.#limits
    if (size > maxExtensionBytes) throw limitExceeded(`an extension header of more than ${maxExtensionBytes} bytes`)
    this.#feed.body(size, (body) => {
      this.#pending.add(typeflag, body)
      this.#feed.block(this.#takeBlock)
    })
  }

  #takeMember(header: Buffer, typeflag: string): void {
    const extensions = this.#pending.claim()
    const path = memberPath(header, extensions)
    this.#where = { path, offset: this.#feed.offset }
    this.#entries++
    if (this.#entries > this.#limits.maxEntries) throw limitExceeded(`more than ${this.#limits.maxEntries} members`)
    const member = { header, extensions, path, typeflag, storedSize: storedSizeOf(header, extensions) }
    const type = memberType(typeflag, path)
    if (type === 'file') this.#takeFile(member)
    else if (type === undefined) this.#passOver(member)
    else this.#takeBodiless(member, type)
  }

  /** Volume labels, continuations from another volume, access lists of Solaris and what else there was. */
  #passOver({ typeflag, storedSize }: Member): void {
    const type = printableBytes(Buffer.from(typeflag, 'latin1'))
    this.#warn(`${this.#memberName()} is of the type ${type}, which is not kept`)
    this.#feed.skipBody(storedSize)
  }

  #takeBodiless(member: Member, type: TarEntry['type']): void {
    if (member.typeflag === 'D') this.#feed.skipBody(member.storedSize)
    else this.#doubtfulBody = member.storedSize
    this.#handler.entry(memberEntry(member, { type, size: 0, limits: this.#limits }))
    this.#handler.entryEnd()
  }

  #takeFile(member: Member): void {
    const { storedSize } = member
    const sparse = sparseForm(member)
    // The header is gone when the map is there, so the entry is made first.
    const entry = this.#fileEntry(member, sparse?.realSize ?? storedSize)
    const found = (content: FileContent) => this.#giveFile(entry, content)
    if (sparse === undefined) found({ storedSize })
    else sparse.readMap({ feed: this.#feed, storedSize, limits: this.#limits, found })
  }

  #fileEntry(member: Member, size: number): TarEntry {
    const { maxExpandedBytes } = this.#limits
    this.#expandedBytes += size
    if (this.#expandedBytes > maxExpandedBytes) throw limitExceeded(`contents of more than ${maxExpandedBytes} bytes`)
    return memberEntry(member, { type: 'file', size, limits: this.#limits })
  }

  #giveFile(entry: TarEntry, content: FileContent): void {
    const done = () => {
      this.#feed.skipPadding(content.storedSize)
      this.#feed.block(this.#takeBlock)
      this.#handler.entryEnd()
    }
    this.#handler.entry(entry)
    readContent(content, { feed: this.#feed, handler: this.#handler, done })
  }

  #located(error: unknown): unknown {
    if (!isProblem(error, 'TAR_INVALID') && !isProblem(error, 'LIMIT_EXCEEDED')) return error
    if (error.data !== undefined || this.#where === undefined) return error
    const data = { member: this.#memberName(), offset: this.#where.offset }
    return new Problem(error.code, `tar member ${data.member} (at byte ${data.offset}): ${error.message}`, { data })
  }

  #memberName(): string {
    return printableBytes(this.#where?.path.subarray(0, this.#limits.maxNameBytes) ?? Buffer.alloc(0))
  }

  #warn(message: string): void {
    this.#warnings++
    if (this.#warnings < maxWarnings) this.#handler.warning?.(message)
    else if (this.#warnings === maxWarnings) this.#handler.warning?.('further warnings about this archive are left out')
  }
}
