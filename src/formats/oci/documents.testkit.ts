import { createHash } from 'node:crypto'

/** Valid documents to take apart. */
export function sampleDescriptor(content: string, mediaType: string, more: object = {}) {
  return {
    mediaType,
    digest: `sha256:${createHash('sha256').update(content).digest('hex')}`,
    size: Buffer.byteLength(content),
    ...more,
  }
}

export function sampleManifest(more: object = {}) {
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: sampleDescriptor('config', 'application/vnd.oci.image.config.v1+json'),
    layers: [
      sampleDescriptor('one', 'application/vnd.oci.image.layer.v1.tar+gzip'),
      sampleDescriptor('two', 'application/vnd.oci.image.layer.v1.tar+zstd'),
    ],
    annotations: { a: 'b' },
    ...more,
  }
}

export function sampleIndex(more: object = {}) {
  const manifest = 'application/vnd.oci.image.manifest.v1+json'
  return {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      sampleDescriptor('amd64', manifest, { platform: { os: 'linux', architecture: 'amd64' } }),
      sampleDescriptor('arm64', manifest, { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }),
      sampleDescriptor('attestation', manifest, { platform: { os: 'unknown', architecture: 'unknown' } }),
    ],
    ...more,
  }
}

export function sampleConfig(more: object = {}) {
  return {
    architecture: 'amd64',
    os: 'linux',
    created: '2024-05-01T12:00:00Z',
    config: { Env: ['PATH=/bin'], Cmd: ['sh'], Labels: { a: 'b' }, User: '1000', WorkingDir: '/srv' },
    rootfs: { type: 'layers', diff_ids: [sampleDescriptor('one', '').digest, sampleDescriptor('two', '').digest] },
    history: [{ created_by: 'ADD file' }, { created_by: 'ENV x', empty_layer: true }, { created_by: 'RUN x' }],
    ...more,
  }
}

export function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
