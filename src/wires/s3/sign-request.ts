import type { Method } from './s3-exchange.ts'

export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of credentials that are lent for a time. */
  readonly sessionToken?: string | undefined
}

interface SignRequest {
  readonly method: Method
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer | undefined
  readonly credentials: S3Credentials
  readonly region: string
}

/**
 * The headers of a request with its signature, which covers the body too.
 *
 * @see "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API reference
 */
export async function signRequest(request: SignRequest): Promise<Record<string, string>> {
  const { AwsV4Signer } = await import('aws4fetch')
  const { createHash } = await import('node:crypto')
  const { method, url, body, credentials, region } = request
  // Its own hash of a body would take a copy of it.
  const hash = createHash('sha256')
    .update(body ?? '')
    .digest('hex')
  const { sessionToken, ...keys } = credentials
  const signed = await new AwsV4Signer({
    method,
    url: url.href,
    headers: { ...request.headers, 'x-amz-content-sha256': hash },
    service: 's3',
    region,
    ...keys,
    ...(sessionToken === undefined ? {} : { sessionToken }),
  }).sign()
  return Object.fromEntries(signed.headers as unknown as Iterable<[string, string]>)
}
