import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'

interface Room {
  readonly floor: number
  readonly may: readonly string[]
  readonly npm: readonly string[]
}

const src = import.meta.dirname
const { rooms } = JSON.parse(readFileSync(join(src, '../rooms.json'), 'utf8')) as { rooms: Record<string, Room> }

/** Modules that reach outside the process, and the rooms that may use them. */
const guarded: Record<string, readonly string[]> = {
  'node:child_process': ['host'],
  'node:worker_threads': ['host'],
  'node:net': ['wires', 'daemon', 'cli'],
  'node:http': ['daemon', 'cli'],
}
/** formats and base see bytes only. */
const noFiles = ['base', 'contract', 'formats']
/** The CLI starts a daemon, which is a process; it talks to it over HTTP and nothing else. */
const exceptions = new Set([
  'cli/client/launch-daemon.ts node:child_process',
  'cli/terminal/raw-mode.ts node:child_process',
])

describe('every import keeps to the rooms', () => {
  test('every folder of src is a room', () => {
    const folders = readdirSync(src, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(folders.map((folder) => folder.name).sort()).toEqual(Object.keys(rooms).sort())
  })

  test('rooms.json lets a room use only rooms below it', () => {
    for (const [name, room] of Object.entries(rooms)) {
      for (const other of room.may) {
        if (other !== '*') expect(rooms[other]?.floor, `${name} → ${other}`).toBeLessThanOrEqual(room.floor)
      }
    }
    expect(findCycle()).toBeUndefined()
  })

  for (const [name, room] of Object.entries(rooms)) {
    test(name, () => {
      expect(violations(name, room)).toEqual([])
    })
  }
})

function violations(name: string, room: Room): string[] {
  const found: string[] = []
  for (const file of sourceFiles(join(src, name))) {
    const path = relative(src, file)
    for (const specifier of importsOf(readFileSync(file, 'utf8'))) {
      const complaint = judge(name, room, file, specifier)
      if (complaint !== undefined && !exceptions.has(`${path} ${specifier}`)) found.push(`${path}: ${complaint}`)
    }
  }
  return found
}

function judge(name: string, room: Room, file: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) {
    const [other, ...rest] = relative(src, resolve(dirname(file), specifier)).split('/')
    if (other === name) return undefined
    if (other === undefined || rooms[other] === undefined) return `${specifier} is in no room`
    const allowed = room.may.includes(other) || (room.may.includes('*') && rooms[other].floor < room.floor)
    if (!allowed) return `may not use ${other}`
    return rest.join('/') === 'index.ts' ? undefined : `${specifier} goes past the door of ${other}`
  }
  if (isBuiltin(specifier)) {
    const only = guarded[specifier]
    if (only !== undefined && !only.includes(name)) return `${specifier} belongs to ${only.join(', ')}`
    if (noFiles.includes(name) && specifier.startsWith('node:fs')) return `${specifier}: ${name} does no I/O`
    return undefined
  }
  const pkg = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  return room.npm.includes(pkg) || room.npm.includes('*') ? undefined : `npm package ${pkg} is not listed`
}

function importsOf(text: string): string[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? '')
}

function sourceFiles(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !/\.(test|testkit)\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
}

function findCycle(): string | undefined {
  const done = new Set<string>()
  const visit = (name: string, path: readonly string[]): string | undefined => {
    if (path.includes(name)) return [...path, name].join(' → ')
    if (done.has(name)) return undefined
    for (const other of rooms[name]?.may ?? []) {
      const cycle = other === '*' ? undefined : visit(other, [...path, name])
      if (cycle !== undefined) return cycle
    }
    done.add(name)
    return undefined
  }
  for (const name of Object.keys(rooms)) {
    const cycle = visit(name, [])
    if (cycle !== undefined) return cycle
  }
  return undefined
}
