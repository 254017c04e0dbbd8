import { BlockList, isIPv4, isIPv6 } from 'node:net'

/** From where an address can be reached. `reserved` is for none to be sent to. */
export type AddressKind = 'public' | 'private' | 'loopback' | 'link-local' | 'reserved'

type Subnet = readonly [network: string, prefix: number]

/** @see IANA IPv4 and IPv6 Special-Purpose Address Registries */
const subnets: Readonly<Record<Exclude<AddressKind, 'public'>, readonly Subnet[]>> = {
  // To connect to the unspecified address is to connect to this host.
  loopback: [
    ['127.0.0.0', 8],
    ['0.0.0.0', 8],
    ['::1', 128],
    ['::', 128],
  ],
  // Among them the metadata services of clouds, which give out keys.
  'link-local': [
    ['169.254.0.0', 16],
    ['fe80::', 10],
  ],
  private: [
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['100.64.0.0', 10],
    ['fc00::', 7],
    ['fec0::', 10],
  ],
  reserved: [
    ['192.0.0.0', 24],
    ['198.18.0.0', 15],
    ['224.0.0.0', 3],
    ['ff00::', 8],
    ['100::', 64],
  ],
}

const lists = Object.entries(subnets).map(([kind, members]) => {
  const list = new BlockList()
  for (const [network, prefix] of members) list.addSubnet(network, prefix, isIPv4(network) ? 'ipv4' : 'ipv6')
  return { kind: kind as AddressKind, list }
})

/** The kind of an IP address in text; what is no address is reserved. An IPv4 address inside an IPv6 one counts as what it is. */
export function addressKind(address: string): AddressKind {
  const text = address.replace(/%.*$/, '')
  const inner = isIPv6(text) ? embeddedIPv4(text) : undefined
  if (inner !== undefined) return addressKind(inner)
  if (!isIPv4(text) && !isIPv6(text)) return 'reserved'
  return lists.find(({ list }) => list.check(text, isIPv4(text) ? 'ipv4' : 'ipv6'))?.kind ?? 'public'
}

/**
 * Whether a registry at addresses of some kinds may send its clients to one of another kind: not to where it could not look itself.
 *
 * @see CVE-2020-15157 and its kin: a registry that names the client's own network as its token server, storage or next page
 */
export function mayLeadTo(to: AddressKind, from: ReadonlySet<AddressKind>): boolean {
  switch (to) {
    case 'public':
      return true
    case 'private':
      return from.has('private') || from.has('loopback')
    case 'loopback':
    case 'link-local':
      return from.has(to)
    default:
      return false
  }
}

/** Of ::ffff:a.b.c.d, ::a.b.c.d, 64:ff9b::a.b.c.d (NAT64) and 2002:… (6to4). */
function embeddedIPv4(address: string): string | undefined {
  const groups = expand(address)
  const at = (index: number) => groups[index] ?? 0
  const quad = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join('.')
  if (at(0) === 0x2002) return quad(at(1), at(2))
  const zeros = groups.slice(0, 5).every((group) => group === 0)
  const mapped = zeros && at(5) === 0xffff
  const compatible = zeros && at(5) === 0 && at(6) !== 0
  const nat64 = at(0) === 0x64 && at(1) === 0xff9b
  return mapped || compatible || nat64 ? quad(at(6), at(7)) : undefined
}

/** The eight groups of an IPv6 address. The URL parser writes a dotted tail in hex. */
function expand(address: string): number[] {
  const { hostname } = new URL(`http://[${address}]/`)
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [first, last] = [groups(head), groups(tail ?? '')]
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last]
}
