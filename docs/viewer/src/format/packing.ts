/** The smallest file of the codings, as `vqcodec encode --coding auto` chooses it. */

import { write } from "./container";
import { protect } from "./fec";
import type { Coding } from "./layout";
import type { Header } from "./packets";
import { encodeIndexMap } from "./payload";
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

/**
 * Write an index map in each coding mode and keep the smallest file, of equally small ones the
 * first.
 *
 * @param indices (h, w) values in [0, K)
 * @param header of the file, without its coding mode, which is chosen here
 * @param tables of the header's tier
 * @throws RangeError map, header, tables and options do not belong together
 */
export function smallestFile(
  indices: Int32Array,
  header: Omit<Header, "coding">,
  tables: TierTables,
  options: FileOptions = {},
): Uint8Array {
  const { codings = codingsFor(header.nPackets, tables), nParity = 0 } = options;
  const files = codings.map((coding) => {
    const head: Header = { ...header, coding };
    const payloads = encodeIndexMap(indices, head, tables);
    return write(head, payloads, nParity ? protect(payloads, nParity) : []);
  });
  if (!files.length) {
    throw new RangeError("no coding mode to choose from");
  }
  return files.reduce((best, file) => (file.length < best.length ? file : best));
}

function codingsFor(nPackets: number, tables: TierTables): Coding[] {
  if (nPackets > 1) {
    return ["fixed"];
  }
  return tables.context ? ["fixed", "table", "context"] : ["fixed", "table"];
}
