import type { Driver, MachineRecord, MachineSpec } from '../../src/machines/index.ts'

/**
 * A process that starts one VM and then lives on until it is killed. Arguments: the module and the export that make the driver, the
 * machine as JSON, and where to stop: `spawned` never goes on from onSpawned, `running` has the machine. It prints the record.
 */
const [module = '', name = '', json = '', until = 'running'] = process.argv.slice(2)
const makeDriver = ((await import(module)) as Record<string, () => Driver>)[name]
if (makeDriver === undefined) throw new Error(`${module} has no ${name}`)

const say = (record: MachineRecord) => process.stdout.write(`${JSON.stringify(record)}\n`)
const forever = new Promise<never>(() => {})
setInterval(() => undefined, 60_000)
const machine = await makeDriver().start(JSON.parse(json) as MachineSpec, async (record) => {
  if (until !== 'spawned') return
  say(record)
  await forever
})
say(machine.record)
await forever
