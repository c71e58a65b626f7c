export function protect(payloads: readonly Uint8Array[], nParity: number): Uint8Array[] {
  throw new Error(`not yet: ${payloads.length} ${nParity}`);
}
