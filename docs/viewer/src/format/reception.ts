import type { Header } from "./packets";
import type { Pack } from "./tables";

/** What was lost on the way, and what could be made good without guessing. */
export interface Losses {
  /** Data packets that the file had. */
  readonly nPackets: number;
  /** Parity packets that the file was written with, as far as what arrived says; or 0. */
  readonly nParity: number;
  /** Data packets, ascending, that parity packets gave back. */
  readonly rebuilt: readonly number[];
  /** Data packets, ascending, that stay lost. */
  readonly missing: readonly number[];
  /** Places at which a packet stands that is not intact. */
  readonly nDamaged: number;
  /** Their byte offsets, as far as they have one. */
  readonly damaged: readonly number[];
  /** Further intact packets of indices that are there. */
  readonly nDuplicates: number;
  /** Bytes that belong to no packet. */
  readonly nForeignBytes: number;
  /** Positions of the index map. */
  readonly nIndices: number;
  /** Of them, those whose index is lost. */
  readonly nErased: number;
  /** Whether the file is as it was written, parity packets included: `strict` takes it. */
  readonly isWhole: boolean;
  /** Say it to people, in one line, as the command line does. */
  describe(): string;
}

/** A file as far as it arrived. */
export interface Received {
  readonly header: Header;
  readonly pack: Pack;
  /** (h, w) indices, -1 where lost; at least one is not. */
  readonly indices: Int32Array;
  /** Rows of the index map. */
  readonly h: number;
  /** Columns of the index map. */
  readonly w: number;
  readonly losses: Losses;
}

export interface ReceiveOptions {
  /** Refuse larger pictures, before memory is taken; 2^28 if not said. */
  readonly maxPixels?: number;
  /** Refuse a file of which anything is missing or damaged. */
  readonly strict?: boolean;
}

export function receive(
  data: Uint8Array,
  packOf: (header: Header) => Pack,
  options: ReceiveOptions = {},
): Received {
  throw new Error(`not yet: ${data} ${packOf} ${options}`);
}
