/**
 * Has one shed sleep and wake again and again, with a word in its RAM, on its disk and on a volume that grow each time, and then wakes it with twenty callers at once. Run by hand:
 *
 *     node --import tsx bench/soak/soak-sleep.ts [--cycles 50] [--storms 5]
 *
 * It ends with exit code 1 when a word is lost, a storm leaves more than one VM, descriptors leak, or anything is left in staging.
 */
import { readdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { globalAgent } from 'node:http'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import type { Shed } from '../../src/contract/index.ts'
import { busyboxArchive } from '../../test/support/busybox-image.ts'
import { type Cowshed, openCowshed, until } from '../../test/support/cowshed.ts'
import { summarize } from '../support/statistics.ts'

const callers = 20

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { cycles: { type: 'string', default: '50' }, storms: { type: 'string', default: '5' } },
  })
  await using cowshed = await openCowshed()
  const archive = `${cowshed.layout.root}-mini.tar`
  await writeFile(archive, busyboxArchive())
  await cowshed.ok('image', 'load', archive)
  await cowshed.ok('volume', 'create', 'data', '--size', '64MiB')
  await cowshed.ok('create', 'web', '--image', 'mini:1', '--memory', '256MiB', '--volume', 'data:/data')
  const soak = new Soak(cowshed)
  await soak.cycle()
  const before = await soak.descriptors()
  for (let at = 1; at < Number(values.cycles); at++) await soak.cycle()
  for (let at = 0; at < Number(values.storms); at++) await soak.storm()
  soak.tell()
  // Connections of ours that are kept for the next request.
  globalAgent.destroy()
  await until(async () => (await soak.descriptors()) <= before + 5, 'the daemon has no more descriptors than at first')
  const left = await cowshed.staging()
  if (left.length > 0) throw new Error(`left in staging: ${left.join(', ')}`)
  console.log(`good; load ${loadavg()[0]?.toFixed(1)}`)
}

class Soak {
  readonly #cowshed: Cowshed
  readonly #times = { sleep: [] as number[], wake: [] as number[], storm: [] as number[] }
  #words = ''

  constructor(cowshed: Cowshed) {
    this.#cowshed = cowshed
  }

  async cycle(): Promise<void> {
    await this.#write()
    await this.#timed('sleep', () => this.#post('stop', { keep_memory: true }))
    await this.#timed('wake', () => this.#post('wake'))
    await this.#check()
  }

  async storm(): Promise<void> {
    await this.#write()
    await this.#post('stop', { keep_memory: true })
    await this.#timed('storm', () => Promise.all(Array.from({ length: callers }, () => this.#post('wake'))))
    const { pid } = await this.#cowshed.json<Shed>('inspect', 'web')
    const vmms = await this.#cowshed.vmms()
    if (vmms.length !== 1 || vmms[0] !== pid) throw new Error(`${callers} callers got ${vmms.length} VMs`)
    await this.#check()
  }

  tell(): void {
    for (const [what, times] of Object.entries(this.#times)) {
      const { median, min, max } = summarize(times)
      console.log(`${what}: ${times.length} times, median ${ms(median)} (${ms(min)} to ${ms(max)})`)
    }
  }

  async descriptors(): Promise<number> {
    return readdirSync(`/proc/${await this.#cowshed.daemonPid()}/fd`).length
  }

  async #write(): Promise<void> {
    const word = `w${this.#words.length}\n`
    this.#words += word
    await this.#sh(`mkdir -p /dev/shm; for file in ${places}; do echo ${word.trim()} >> $file; done`)
  }

  /** All of the words are in all places, in their order. */
  async #check(): Promise<void> {
    const found = await this.#sh(`cat ${places}`)
    if (found !== this.#words.repeat(3)) throw new Error(`after ${this.#words.split('\n').length - 1}: ${found}`)
  }

  async #sh(script: string): Promise<string> {
    return await this.#cowshed.ok('exec', 'web', '--', 'sh', '-c', script)
  }

  async #post(verb: string, body: object = {}): Promise<void> {
    const status = await this.#cowshed.request('POST', `/api/sheds/web/${verb}`, body)
    if (status !== 200) throw new Error(`${verb}: ${status}`)
  }

  async #timed(what: 'sleep' | 'wake' | 'storm', work: () => Promise<unknown>): Promise<void> {
    const begun = performance.now()
    await work()
    this.#times[what].push(performance.now() - begun)
  }
}

/** RAM, its disk, a volume. */
const places = '/dev/shm/words /root/words /data/words'

function ms(milliseconds: number): string {
  return `${milliseconds.toFixed(0)} ms`
}

await main()
