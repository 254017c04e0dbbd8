/**
 * wires/s3: the client of stores that speak S3.
 *
 * Promises: an object is written whole or not at all; what passes is tried again, within bounds of time; credentials are in no message and are sent to
 * nobody but the store, as signatures.
 * Never: follows a redirect; believes more of an answer than it has to.
 */
export { openS3Bucket, type S3Bucket, type S3Object, type S3Options } from './open-s3-bucket.ts'
export type { S3Credentials } from './sign-request.ts'
