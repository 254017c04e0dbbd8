import { afterEach, expect, test, vi } from 'vitest'
import { signRequest } from './sign-request.ts'

afterEach(() => {
  vi.useRealTimers()
})

// "Example: GET Bucket (List Objects)" of "Authenticating Requests: Using the Authorization Header", Amazon S3 API reference.
test("Amazon's own example has the signature that Amazon says", async () => {
  vi.useFakeTimers({ now: new Date('2013-05-24T00:00:00Z'), toFake: ['Date'] })
  const request = {
    method: 'GET' as const,
    url: new URL('https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J'),
    headers: {},
    credentials: { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
    region: 'us-east-1',
  }
  const headers = await signRequest(request)
  expect(headers.authorization).toMatch(/Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7$/)
  const lent = await signRequest({ ...request, credentials: { ...request.credentials, sessionToken: 'token' } })
  expect(lent['x-amz-security-token']).toBe('token')
  expect(lent.authorization).toMatch(/SignedHeaders=[^,]*x-amz-security-token/)
})
