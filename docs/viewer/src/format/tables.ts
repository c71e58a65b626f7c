import type { ContextModel } from "./context";
import type { Stride } from "./layout";

/** What one tier of a pack is coded with. */
export interface TierTables {
  readonly tier: number;
  /** K. */
  readonly codebookSize: number;
  /** (K,) integers that sum to 65536. */
  readonly frequencies: Uint16Array;
  /** (K, E) by rows. */
  readonly codewords: Float32Array;
  /** E. */
  readonly codewordSize: number;
  /** Absent where the pack has no context model for the tier. */
  readonly context?: ContextModel;
}

/** Tier id -> its tables. */
export type Tables = ReadonlyMap<number, TierTables>;

/** What a file is read with: tables, and the facts of the manifest that a file must agree with. */
export interface Pack {
  readonly name: string;
  readonly weightsId: number;
  readonly stride: Stride;
  readonly tables: Tables;
}

export function readTables(safetensors: Uint8Array): Tables {
  throw new Error(`not yet: ${safetensors.length}`);
}
