import type { Coding } from "./layout";
import type { Header } from "./packets";
import type { TierTables } from "./tables";

export interface FileOptions {
  /**
   * Coding modes to choose from. Left out ("auto"): for one packet all that the tables allow, for
   * several packets "fixed", whose known lengths help to find them in damaged bytes.
   */
  readonly codings?: readonly Coding[];
  /** Parity packets to add; they take 2 data packets or more. */
  readonly nParity?: number;
}

/** The smallest file of the codings; `header` without its coding, which is chosen here. */
export function smallestFile(
  indices: Int32Array,
  header: Omit<Header, "coding">,
  tables: TierTables,
  options: FileOptions = {},
): Uint8Array {
  throw new Error(`not yet: ${indices} ${header} ${tables} ${options}`);
}
