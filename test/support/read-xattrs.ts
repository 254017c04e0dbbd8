import koffi from 'koffi'
import type { ByteName } from '../../src/formats/index.ts'

type List = (path: Buffer, list: Buffer, size: number) => number
type Get = (path: Buffer, name: Buffer, value: Buffer, size: number) => number

/** The xattrs of a path itself, symlinks not followed: full names, values in hex. Needs root to see `trusted.`. */
export function readXattrs(path: Buffer): Record<ByteName, string> {
  const { list, get } = calls()
  const pathZ = terminated(path)
  const names = answer(`llistxattr ${path.toString('latin1')}`, (into) => list(pathZ, into, into.length))
  const found: Record<ByteName, string> = {}
  for (const name of names.toString('latin1').split('\0').slice(0, -1).sort()) {
    const nameZ = terminated(Buffer.from(name, 'latin1'))
    const what = `lgetxattr ${path.toString('latin1')} ${name}`
    found[name] = answer(what, (into) => get(pathZ, nameZ, into, into.length)).toString('hex')
  }
  return found
}

/** Asks for the size, then for the bytes. */
function answer(what: string, call: (into: Buffer) => number): Buffer {
  const size = call(Buffer.alloc(0))
  const into = Buffer.alloc(Math.max(size, 0))
  const bytes = size > 0 ? call(into) : size
  if (bytes < 0) throw new Error(`${what}: errno ${koffi.errno()}`)
  return into.subarray(0, bytes)
}

let bound: { list: List; get: Get } | undefined

function calls(): { list: List; get: Get } {
  if (bound === undefined) {
    const libc = koffi.load('libc.so.6')
    const list: unknown = libc.func('int64_t llistxattr(const uint8_t *path, _Out_ uint8_t *list, size_t size)')
    const get: unknown = libc.func(
      'int64_t lgetxattr(const uint8_t *path, const uint8_t *name, _Out_ uint8_t *value, size_t size)',
    )
    bound = { list: list as List, get: get as Get }
  }
  return bound
}

function terminated(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(1)])
}
