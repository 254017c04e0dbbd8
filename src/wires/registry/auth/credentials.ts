/** What a registry or its token server takes for proof of who one is. */
export type Credentials =
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  /** An OAuth2 refresh token, for the token server. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** A Bearer token that the registry takes as it is. */
  | { readonly kind: 'registry-token'; readonly token: string }

export interface FoundCredentials {
  readonly credentials: Credentials | undefined
  /** What could not be asked or understood on the way, for the hint of whoever is refused in the end. */
  readonly notes: readonly string[]
}
