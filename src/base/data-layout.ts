import { type Digest, digestAlgorithm, digestHex } from './digest.ts'

/**
 * The version of what cowshed derives from images: it is part of the path of every derived file, so that another writer never
 * reads or overwrites these. Raise it with any change to the bytes that formats/erofs, formats/layer or images write.
 */
export const writerVersion = 2

/** The same for formats/ext4. Layers and how they are flattened are part of it too, so it rises with the other. */
export const ext4WriterVersion = 3

/**
 * How the file contents of a lower are stored. `plain` is uncompressed, `lz4` compressed into clusters of 4 KiB: both are readable by every kernel since
 * 5.4. `lz4-64k` has clusters of up to 64 KiB, which kernels read since 5.13.
 */
export const lowerProfiles = ['plain', 'lz4', 'lz4-64k'] as const
export type LowerProfile = (typeof lowerProfiles)[number]
export type CompressedProfile = Exclude<LowerProfile, 'plain'>

/**
 * Whether a lower is one file, or a bootstrap that the data blobs of its layers belong to as devices of their own: nothing is copied then, and kernels
 * read it since 5.16.
 */
export const lowerForms = ['whole', 'parts'] as const
export type LowerForm = (typeof lowerForms)[number]

/**
 * Every path in a data directory, as functions of its root. docs/disk-layout.md describes each of them and a test compares the two,
 * so this is the only place where a file name of the data directory is written.
 */
export function dataLayout(root: string) {
  const cache = `${root}/cache/erofs-v${writerVersion}`
  return {
    root,
    /** One daemon per data directory: flock held for its life. */
    lock: `${root}/lock`,
    /** The daemon's API, mode 0600. */
    socket: `${root}/daemon.sock`,
    daemonLog: `${root}/daemon.log`,
    /** The SQLite index: derived, may be deleted. */
    indexDb: `${root}/index.db`,
    config: `${root}/config.toml`,
    /** What nothing may remove: images by digest, sheds by name. */
    pins: `${root}/pins.json`,

    /** Who may talk to the daemon over the network. */
    tokens: `${root}/tokens`,
    token: (id: string) => `${root}/tokens/${id}.json`,

    /** What sheds are given and nobody is shown. */
    secrets: `${root}/secrets`,
    /** What they are sealed with. No secret can be called so: it has no .json. */
    secretKey: `${root}/secrets/key`,
    secret: (name: string) => `${root}/secrets/${name}.json`,

    /** Keys that backups are sealed with: this host's own, and those of others whose backups it may read. */
    backupKeys: `${root}/backup-keys`,
    /** flock while the host's own key is made. */
    backupKeyLock: `${root}/backup-keys/lock`,
    backupKey: (id: string) => `${root}/backup-keys/${id}.json`,

    ociLayout: `${root}/oci-layout`,
    imageIndex: `${root}/index.json`,
    blobs: `${root}/blobs`,
    blob: (digest: Digest) => `${root}/blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`,

    downloads: `${root}/downloads`,
    partialBlob: (digest: Digest) => `${root}/downloads/${digestAlgorithm(digest)}-${digestHex(digest)}.partial`,

    cache: `${root}/cache`,
    /** Layer data blobs and layer indexes, by diff_id. */
    layers: `${cache}/layers`,
    layerData: (diffId: Digest, profile: LowerProfile = 'plain') =>
      `${cache}/layers/${digestHex(diffId)}${profile === 'plain' ? '' : `.${profile}`}.data`,
    /** Where a compressed data blob has what the index says where a plain one would have it. */
    layerMap: (diffId: Digest, profile: CompressedProfile) => `${cache}/layers/${digestHex(diffId)}.${profile}.map`,
    layerIndex: (diffId: Digest) => `${cache}/layers/${digestHex(diffId)}.index`,
    /** What was made of a layer's data when it was published: where its blob is, and its chunks. */
    layerStored: (diffId: Digest, profile: LowerProfile = 'plain') =>
      `${cache}/layers/${digestHex(diffId)}${profile === 'plain' ? '' : `.${profile}`}.stored`,
    lowers: (profile: LowerProfile) => `${cache}/${profile}`,
    lower: (profile: LowerProfile, manifest: Digest) => `${cache}/${profile}/${digestHex(manifest)}.erofs`,
    lowerBootstrap: (profile: LowerProfile, manifest: Digest) => `${cache}/${profile}/${digestHex(manifest)}.bootstrap`,

    /** Root filesystems that sheds are cloned from. */
    rootfsImages: `${root}/cache/ext4-v${ext4WriterVersion}`,
    rootfsImage: (manifest: Digest) => `${root}/cache/ext4-v${ext4WriterVersion}/${digestHex(manifest)}.ext4`,

    /** What a dedupe read of files the last time, by inode. */
    blockHashes: `${root}/cache/hashes-v1`,
    blockHashesOf: (inode: number) => `${root}/cache/hashes-v1/${inode}.hashes`,

    /** Which files were as they are when a backup was made of them, by what that is of and where. */
    backupSources: `${root}/cache/backups-v1`,
    backupSource: (id: string) => `${root}/cache/backups-v1/${id}.json`,

    /** What boots here and cannot be made again here: lowers of images whose layers are not here. */
    keptLowers: `${root}/lowers`,
    keptLower: (manifest: Digest) => `${root}/lowers/${digestHex(manifest)}.erofs`,
    /** Where it came from, when it was pulled as it is. */
    keptLowerRecord: (manifest: Digest) => `${root}/lowers/${digestHex(manifest)}.json`,
    /** Of one that was built here: what its bytes must be. */
    keptLowerDigest: (manifest: Digest) => `${root}/lowers/${digestHex(manifest)}.sha256`,
    /** Its chunk index: what its bytes must be. */
    keptLowerChunks: (manifest: Digest) => `${root}/lowers/${digestHex(manifest)}.chunks`,

    /** Lowers that are partly here, by the digest of their chunk index. */
    lazyLowers: `${root}/lazy`,
    lazyLower: (chunkIndex: Digest) => {
      const dir = `${root}/lazy/${digestHex(chunkIndex)}`
      return {
        dir,
        /** What is here of it, each byte at its place: sparse. */
        data: `${dir}/data`,
        /** The chunk index itself. */
        chunks: `${dir}/chunks`,
        /** Which image it is of, and where the rest is. */
        record: `${dir}/source.json`,
        /** All of it is here, as far as whoever served it knew: worth looking at. */
        whole: `${dir}/whole`,
        /** Of one without a chunk index: the hash of each leaf that guests were given before it could be verified, and a flock of whoever gives. */
        given: `${dir}/given`,
        /** Of the same: it is not what its digest says, and why. */
        wrong: `${dir}/wrong`,
        /** flock, shared by those who serve it; whoever removes it wants it alone. */
        lock: `${dir}/lock`,
        /** What boots of it have read, by name. */
        traces: `${dir}/traces`,
      }
    },
    bootTrace: (chunkIndex: Digest, name: string) => `${root}/lazy/${digestHex(chunkIndex)}/traces/${name}`,

    kernels: `${root}/kernels`,
    /** The id of the kernel that sheds boot: the one that was installed last. */
    currentKernel: `${root}/kernels/current`,
    kernel: (id: string) => {
      const dir = `${root}/kernels/${id}`
      return {
        dir,
        vmlinuz: `${dir}/vmlinuz`,
        initrd: `${dir}/initrd`,
        record: `${dir}/kernel.json`,
        /** The verdict of the acceleration probe on this host since it booted. */
        accel: `${dir}/accel.json`,
      }
    },

    templates: `${root}/templates`,
    upperTemplate: (bytes: number) => `${root}/templates/upper-${bytes}.ext4`,

    sheds: `${root}/sheds`,
    shed: (name: string) => {
      const dir = `${root}/sheds/${name}`
      return {
        dir,
        record: `${dir}/metadata.json`,
        upper: `${dir}/upper.ext4`,
        /** Instead of an upper: the whole disk of a shed that was made with --rootfs ext4. */
        rootfs: `${dir}/rootfs.ext4`,
        console: `${dir}/console.log`,
        /** What QEMU itself printed. */
        vmmLog: `${dir}/vmm.log`,
        /** flock held by the VMM for as long as it lives: the proof of life. */
        vmmLock: `${dir}/vmm.lock`,
        /** The same of a second VMM, which takes over all that a VM has in memory so that it can be kept; there while that goes on. */
        heirLock: `${dir}/heir.lock`,
        /** How to find and adopt the VMM: pid, start time, sockets. Present from before its start until it is known dead. */
        machine: `${dir}/machine.json`,
        /** The RAM of its VM, where no tmpfs has room for it. */
        ram: `${dir}/ram`,
        memory: `${dir}/memory`,
        ...memoryIn(`${dir}/memory`),
      }
    },

    snapshots: `${root}/snapshots`,
    snapshot: (name: string) => {
      const dir = `${root}/snapshots/${name}`
      return {
        dir,
        record: `${dir}/snapshot.json`,
        upper: `${dir}/upper.ext4`,
        /** Instead of an upper: of a shed that was made with --rootfs ext4. */
        rootfs: `${dir}/rootfs.ext4`,
        /** The volumes that the shed wrote to, as they were at the same moment. */
        volumes: `${dir}/volumes`,
        /** Of a shed that ran: what was in its memory at that moment. */
        ...memoryIn(dir),
      }
    },
    snapshotVolume: (snapshot: string, volume: string) => `${root}/snapshots/${snapshot}/volumes/${volume}.ext4`,

    volumes: `${root}/volumes`,
    volume: (name: string) => {
      const dir = `${root}/volumes/${name}`
      return {
        dir,
        record: `${dir}/volume.json`,
        /** Its disk: an ext4 that only guests mount. */
        data: `${dir}/data.ext4`,
        /** Which shed it is made for; there until that shed is. */
        madeFor: `${dir}/made-for.json`,
      }
    },

    /** Consoles of creates that failed, kept so that they can be understood. */
    failures: `${root}/failures`,
    failureConsole: (name: string, id: string) => `${root}/failures/${name}-${id}.log`,

    /** Everything half made; swept when a daemon starts. */
    staging: `${root}/staging`,
  } as const
}

/** What is kept of a VM that is to go on from there, in a directory of its own. */
export function memoryIn(dir: string) {
  return {
    memoryRecord: `${dir}/memory.json`,
    /** RAM, sparse: what of it is zeros is not stored. */
    memSnap: `${dir}/mem.snap`,
    /** The same, compressed, in its place when nobody has used it for a while; of no use where both are there. */
    memSnapZst: `${dir}/mem.snap.zst`,
    /** The state of its devices, as the driver wrote it. */
    vmSnap: `${dir}/vm.snap`,
  } as const
}

export type DataLayout = ReturnType<typeof dataLayout>

/** Unix socket paths are limited to 107 bytes and a NUL (sockaddr_un, unix(7)). */
export const maxSocketPath = 107
