import type { FormatError } from "./errors";
import type { Header } from "./packets";
import type { TierTables } from "./tables";

/** Stands in an index map at the positions of packets that are lost. */
export const LOST = -1;

export function encodeIndexMap(indices: Int32Array, header: Header, tables: TierTables): Uint8Array[] {
  throw new Error(`not yet: ${indices} ${header} ${tables}`);
}

export interface DecodeOptions {
  readonly onBad?: (index: number, error: FormatError) => void;
  readonly uncertain?: ReadonlySet<number>;
}

export function decodeIndexMap(
  payloads: readonly (Uint8Array | undefined)[],
  header: Header,
  tables: TierTables,
  options: DecodeOptions = {},
): Int32Array {
  throw new Error(`not yet: ${payloads} ${header} ${tables} ${options}`);
}
